#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# layers.sh -- who may include whom.  Prints every include outside this table and fails.
#
#   folder   other folders' headers it may use        libraries only it may include
set -u
cd "$(dirname "$0")/.." || exit 1
table='
base     -                                               csv
fft      base/*                                          fftw3
model    base/* fft/fft.h                                cblas,openblas
storage  base/*                                          sqlite3,zstd,pcre2
api      base/* model/model.h storage/storage.h          microhttpd
daemon   base/* model/model.h storage/storage.h api/api.h  ini,systemd,curl
'
fail=0
report() { echo "$1"; fail=1; }

echo "$table" | while read -r folder allowed_and_own; do
    [ -n "$folder" ] || continue
    own=${allowed_and_own##* }
    allowed=${allowed_and_own% *}
    # Ours: anything in quotes from another folder must be allowed.
    grep -HnE '^#include "' "$folder"/*.[ch] 2>/dev/null |
        sed -E 's/^([^:]+:[0-9]+):#include "([^"]+)".*/\1 \2/' |
        while read -r place header; do
            case $header in "$folder"/*) continue ;; esac
            ok=no
            for pattern in $allowed; do
                # shellcheck disable=SC2254  # base/* is a pattern
                case $header in $pattern) ok=yes ;; esac
            done
            [ $ok = yes ] || echo "$place: $folder may not include $header"
        done
    # Theirs: a library that belongs to one folder appears in no other.
    libraries=$(echo "$own" | tr ',' '|')
    for other in base fft model storage api daemon; do
        [ "$other" = "$folder" ] ||
            grep -HnE "^#include <($libraries)[^>]*>" "$other"/*.[ch] 2>/dev/null |
            sed "s|\$|: only $folder includes this|"
    done
done >"${TMPDIR:-/tmp}/layers.$$"
bad=$(cat "${TMPDIR:-/tmp}/layers.$$")
rm -f "${TMPDIR:-/tmp}/layers.$$"
[ -z "$bad" ] || report "$bad"

# File names are unique in the tree, and every source says its licence.
twins=$(ls base/*.[ch] fft/*.[ch] model/*.[ch] storage/*.[ch] api/*.[ch] daemon/*.[ch] \
    2>/dev/null | sed 's|.*/||' | sort | uniq -d)
[ -z "$twins" ] || report "same file name twice: $twins"
unlicensed=$(find base fft model storage api daemon etc tests -name "*.[ch]" -exec awk '
    FNR == 1 && !/SPDX-License-Identifier: GPL-2.0-or-later/ { print FILENAME }' {} +)
[ -z "$unlicensed" ] || report "first line is not the SPDX line: $unlicensed"

if [ $fail -eq 0 ]; then echo "ok layers"; else echo "not ok layers"; fi
exit $fail
