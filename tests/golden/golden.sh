#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# golden.sh -- replays every golden file there is, in double and in float.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
status=0
for binary in golden golden-float; do
    for file in tests/golden/*.safetensors ../shared/golden/frwkv_l24_n5.safetensors; do
        name="$binary $(basename "$file" .safetensors)"
        if [ ! -e "$file" ]; then
            echo "skip $name: needs $file"
        elif "$build/tests/$binary" "$file"; then
            echo "ok $name"
        else
            echo "not ok $name"
            status=1
        fi
    done
done
exit $status
