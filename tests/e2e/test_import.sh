#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `frwkvd import` while the daemon runs and while it does not: the same result.
. "$(dirname "$0")/lib.sh"

wave 300 3 >"$tmp/wave.csv"
# The second file replaces three values of the first, repeats some, and adds a series.
{ head -n 20 "$tmp/wave.csv"; } | awk -F, -v OFS=, '
    NR == 1 { print $0 ",extra" } NR > 1 && NR < 5 { $2 = "7" } NR > 1 { print $0, NR }' \
    >"$tmp/more.csv"

# everything -- all samples of all series, as text.
everything() {
    get "/v1/series"
    value '.series[].series' | while read -r series; do
        curl -fsSG "$url/v1/samples" --data-urlencode "series=$series" -d format=csv
    done
}

import() {
    status=0
    "$frwkvd" import -c "$conf" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
    body=$(cat "$tmp/out" "$tmp/err")
}

configure
start
import "$tmp/wave.csv"
check "the running daemon takes it" [ $status = 0 ]
check "and is named" grep -q "127.0.0.1:$port" "$tmp/err"
check "what came is counted" \
    grep -q "received 900 samples of 3 series: 900 stored, 0 replaced, 0 duplicate" "$tmp/out"
import "$tmp/more.csv"
cp "$tmp/out" "$tmp/counts.online"
check "replaced and repeated values are counted" \
    grep -q "received 76 samples of 4 series: 19 stored, 3 replaced, 54 duplicate" "$tmp/out"
import - <"$tmp/wave.csv"
check "standard input works" grep -q "897 duplicate" "$tmp/out"
import "$tmp/more.csv"
everything >"$tmp/online"
stop

rm -r "$tmp/state"
import "$tmp/wave.csv"
check "without a daemon it opens the folder itself" [ $status = 0 ]
check "and counts the same" \
    grep -q "received 900 samples of 3 series: 900 stored, 0 replaced, 0 duplicate" "$tmp/out"
import "$tmp/more.csv"
check "the second file too" cmp "$tmp/out" "$tmp/counts.online"
import "$tmp/bad.csv"
check "a missing file is named" grep -q "bad.csv: No such file" "$tmp/err"
printf 'time,a\n1,2\n2,oops\n' >"$tmp/bad.csv"
import "$tmp/bad.csv"
check "a bad line is named, nothing is stored" sh -c "[ $status = 1 ] && grep -q 'line 3' '$tmp/err'"
start
everything >"$tmp/offline"
check "both ways hold the same samples" cmp "$tmp/online" "$tmp/offline"
stop

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chmod 755 "$tmp"
    chmod 644 "$conf"
    cp "$frwkvd" "$tmp/frwkvd"
    body=$(setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$tmp/frwkvd" import -c "$conf" /dev/null 2>&1) || status=$?
    check "another user is told what to type" sh -c \
        "[ $status = 1 ] && printf %s '$body' | grep -q 'sudo -u root frwkvd import'"
else
    echo "skip another user is told what to type: needs root"
fi
done_testing
