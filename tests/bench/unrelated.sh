#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# unrelated.sh -- what one training for a fleet of unrelated metrics takes.
#
# 300 hourly series that know nothing of one another, 4 to 8 weeks long, each with its own
# level, trend, rhythms and noise: `group=each` is trained and backtested on two threads,
# the newest week held out, 24 steps ahead.  Prints seconds, memory and the candidates.
#
#   unrelated.sh [SERIES]   needs jq; pin it to two cores (taskset -c 0,1) on a larger machine
set -eu
frwkvd=${FRWKVD:-${BUILD:-build}/frwkvd}

# A file of the form `long`; no two runs differ.
fleet() {
    awk -v series="$1" '
    function random() { state = (state * 16807) % 2147483647; return state / 2147483647 }
    function gauss() { return sqrt(-2 * log(random())) * cos(6.2831853 * random()) }
    BEGIN {
        state = 20260701
        print "series,time,value"
        for (s = 1; s <= series; s++) {
            level = exp(6 * random()); day = random(); week = random() / 2; noise = random() / 3
            phase = 6.2831853 * random(); trend = (random() - .5) / 1344
            sticky = .95 * random(); walk = 0
            for (t = 1344 - int(672 * (1 + random())); t < 1344; t++) {
                walk = sticky * walk + noise * gauss()
                d = int(t / 24)
                value = level * (2 + trend * t + day * cos(6.2831853 * t / 24 + phase) + \
                    week * cos(6.2831853 * t / 168) + walk)
                printf("s%d,2026-%02d-%02dT%02d:00:00Z,%.6g\n", s, (d < 31) ? 5 : 6,
                    (d < 31) ? d + 1 : d - 30, t % 24, value)
            }
        }
    }'
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fleet "${1:-300}" >"$folder/fleet.csv"
start=$(date +%s.%N)
"$frwkvd" backtest --csv "$folder/fleet.csv" --format long --group each --split last:168 --horizon 24 \
    --threads 2 --json >"$folder/out.json"
end=$(date +%s.%N)
jq -r --argjson from "$start" --argjson to "$end" '
    def round3: . * 1000 | round / 1000;
    "\(.data.series) series, \(.history | length) epochs: \($to - $from | . * 10 | round / 10) s",
    (.results[] | select(.bucket == "all")
     | "\(.candidate): MSE \(.mse | round3), MAE \(.mae | round3), \(.coverage80 * 1000 | round / 10) % in the 80 % band")' \
    "$folder/out.json"
