#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh -- from an empty folder to a served forecast.  `make demo` runs it.
#
#   DATA=file.csv   forecast this file (first column: time) instead of the made-up fleet
#   ONCE=1          stop after printing; else it goes on serving until Ctrl-C
set -eu

build=${BUILD:-build}
frwkvd=${FRWKVD:-$build/frwkvd}
state=$build/demo
conf=$state/frwkvd.conf

if [ -t 1 ]; then bold=$(printf '\033[1m') off=$(printf '\033[0m'); else bold='' off=''; fi
say() { printf '\n%s%s%s\n\n' "$bold" "$*" "$off"; }
die() { echo "demo: $*" >&2; exit 1; }

daemon=
stop() {
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon" || :; } 2>/dev/null
    daemon=
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- a daemon of its own -----------------------------------------------------------------

port=9797 # the first from here on at which nobody answers
while code=0; curl -s -o /dev/null "http://127.0.0.1:$port/" || code=$?; [ $code -ne 7 ]; do
    port=$((port + 1))
done
url=http://127.0.0.1:$port

rm -rf "$state"
mkdir -p "$state"
printf '[server]\nlisten = 127.0.0.1:%s\n[store]\nfolder = %s\n' "$port" "$state/store" >"$conf"
"$frwkvd" serve -c "$conf" 2>"$state/log" &
daemon=$!
until curl -fs -o /dev/null "$url/-/ready"; do
    kill -0 "$daemon" 2>/dev/null || { cat "$state/log" >&2; die "the daemon did not start"; }
    sleep 0.1
done

# ---- data, and a wish --------------------------------------------------------------------

if [ -n "${DATA-}" ]; then
    say "1. Loading $DATA"
    "$frwkvd" import -q -c "$conf" "$DATA"
else
    say "1. Loading eight weeks of a small fleet's metrics"
    "$build/fleet" --weeks 8 --end "$(date -u +%Y-%m-%dT%H:00:00Z)" --seed 6 >"$state/fleet.csv"
    "$frwkvd" import -q -c "$conf" "$state/fleet.csv"
fi

# The step: the most frequent distance of samples of the first series, in seconds.
series=$(curl -fsS "$url/v1/series?limit=1" | jq -r '.series[0].series')
step=$(curl -fsSG "$url/v1/samples" --data-urlencode "series=$series" -d limit=1000 |
    jq '[.samples[].time | sub("[.][0-9]+Z$"; "Z") | fromdate] | [.[1:], .[:-1]] | transpose
        | map(.[0] - .[1]) | group_by(.) | max_by(length)[0]')

# Half a year of hours, or as many steps of another length.
jq -n --argjson step "$step" --argjson own "$([ -n "${DATA-}" ] && echo true || echo false)" '
    {select: "{__name__=~\".+\"}", step: "\($step)s", history: "\($step * 4368)s"}
    + if $own then {} else {lookback: 168, min: 0} end' >"$state/demo.json"
curl -fsS -o /dev/null -X PUT --json @"$state/demo.json" "$url/v1/forecasters/demo"

# ---- training and the answer -------------------------------------------------------------

say "2. Training a model on them (checkpointed, at low priority)"
"$frwkvd" train -q -c "$conf" demo

say "3. What comes next"
"$frwkvd" forecast -q -c "$conf" demo

say "4. Ask for yourself"
cat <<END
  curl -s '$url/v1/forecasters/demo/forecast?horizon=6'
  curl -s '$url/v1/forecasters/demo/forecast?format=csv'
  curl -s '$url/v1/series'
  curl -s '$url/metrics'
  curl -s '$url/'
END
if [ -n "${ONCE-}" ]; then
    printf '\nThe daemon ends here (ONCE=%s); without it, it goes on serving these.\n' "$ONCE"
    exit 0
fi
trap 'echo; exit 0' INT
printf '\nServing at %s; Ctrl-C ends it.  The log is %s.\n' "$url" "$state/log"
wait "$daemon"
