#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The demo ends well, in time, and shows what it promises; on a file, too.
. "$(dirname "$0")/../e2e/lib.sh"

export BUILD="${BUILD:-build}" FRWKVD="$frwkvd" ONCE=1

# demo -- runs it; $status, $took (seconds), output in $tmp/out.
demo() {
    began=$(date +%s)
    status=0
    etc/demo/demo.sh >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
    took=$(($(date +%s) - began))
    body=$(cat "$tmp/err")
}

demo
check "the demo ends well" [ $status = 0 ]
check "in less than two minutes ($took s)" [ $took -lt 120 ]
check "eight series, each with its median" [ "$(grep -c '^  median ' "$tmp/out")" = 8 ]
check "and its plot" [ "$(grep -c '[│|]' "$tmp/out")" -ge 48 ]
check "the judgement" grep -q '^  seasonal_naive .* [0-9.]* %$' "$tmp/out"
check "and what to type next" grep -q "curl -s 'http://127.0.0.1:[0-9]*/v1/forecasters/demo/forecast" "$tmp/out"

data=../shared/data/ETTh1.csv
if [ -f $data ]; then
    export DATA=$data
    demo
    check "the demo on a file ends well" [ $status = 0 ]
    check "in less than two minutes ($took s) " [ $took -lt 120 ]
    check "seven series" [ "$(grep -c '^  median ' "$tmp/out")" = 7 ]
else
    echo "skip demo on a file: needs $data"
fi
done_testing
