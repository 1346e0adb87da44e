#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# queries.sh -- what a training on all cores costs those who ask for forecasts (promise 10).
#
# Forecast queries come one after another over one connection, QUERIES of them at a time,
# in turns: without a training, with one, without, with.  Shows the median and the 99th
# percentile of both, and their ratios.
. "$(dirname "$0")/../e2e/lib.sh"

queries=${QUERIES:-1500} rounds=${ROUNDS:-3}
configure '[train]\nthreads = 0\n'
start
wave 1500 20 >"$tmp/wave.csv"
request POST "/v1/import?history=true" --data-binary @"$tmp/wave.csv" -H 'Content-Type: text/csv'
definition() {
    printf '{"select": "load", "step": "1h", "lookback": 168, "horizon": 48, "settings":
             {"epochs": %s, "patience": 1000, "steps_per_epoch": 200}}' "$1"
}
put /v1/forecasters/asked "$(definition 1)"
put /v1/forecasters/trained "$(definition 1000)"
post /v1/forecasters/asked/train ''
first=$(value .id)
wait_for 300 job_ended "$first" && is .state done || { echo "the first training failed: $body"; exit 1; }

i=0
while [ $i -lt "$queries" ]; do
    printf 'url = "%s/v1/forecasters/asked/forecast"\noutput = /dev/null\n' "$url"
    i=$((i + 1))
done >"$tmp/queries"

# ask FILE -- adds the seconds that each query took.
ask() {
    curl -s -w '%{time_total}\n' -K "$tmp/queries" >>"$1"
}

fitting() { get "/v1/jobs/$id"; [ "$(value '.progress.step // 0')" -gt 0 ]; }

for round in $(seq "$rounds"); do
    ask "$tmp/idle"
    post /v1/forecasters/trained/train ''
    id=$(value .id)
    wait_for 60 fitting || { echo "the training does not begin"; exit 1; }
    ask "$tmp/busy"
    get "/v1/jobs/$id"
    is .state running || { echo "the training ended too soon"; exit 1; }
    request DELETE "/v1/jobs/$id"
    wait_for 60 job_ended "$id"
done

# percentile FILE SHARE
percentile() {
    sort -g "$1" | awk -v share="$2" '{ at[NR] = $1 }
        END { i = int(NR * share + 0.5); print at[i < 1 ? 1 : i] * 1000 }'
}
# add NAME VALUE UNIT [RATIO BESIDE] -- a row, as tests/bench/result.h has it.
add() {
    printf '  %-46s %10.4g %-14s%s\n' "$1" "$2" "$3" "${4:+ $4 times $5}"
    [ -z "${BENCH_JSON-}" ] ||
        jq -nc --arg name "$1" --arg value "$2" --arg unit "$3" --arg ratio "${4-}" --arg beside "${5-}" \
            '{bench: "queries", $name, value: ($value | tonumber), $unit}
             + if $ratio == "" then {} else {ratio: ($ratio | tonumber), $beside} end' >>"$BENCH_JSON"
}

echo "$((queries * rounds)) forecasts of 20 series by 48 steps, each; $(nproc) cores, all of them training"
for share in 0.5 0.99; do
    idle=$(percentile "$tmp/idle" $share) busy=$(percentile "$tmp/busy" $share)
    case $share in 0.5) what=median ;; *) what="99th percentile" ;; esac
    add "a forecast over HTTP, $what" "$idle" ms
    add "a forecast over HTTP while training, $what" "$busy" ms \
        "$(awk -v idle="$idle" -v busy="$busy" 'BEGIN { printf "%.2f", busy / idle }')" "without a training"
done
