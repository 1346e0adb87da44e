#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A disk that fills and a value out of its band, with the real daemon: as JSON, as a table,
# as metrics, and as series for PromQL.
. "$(dirname "$0")/lib.sh"

command -v promtool >/dev/null || { echo "skip all promtool is not installed"; exit 77; }
configure
start
# A disk that gains 0.1 a second from 40 on, now, and a load; of the future some seconds at
# once, which nobody sees before their time.
now=$(date +%s)
awk -v now="$now" 'BEGIN {
    print "time,disk{host=\"a\"},load"
    for (t = -400; t < 90; t++)
        printf "%d,%.4f,%.4f\n", now + t, 40 + t / 10 + sin(t * 1.7) / 5,
            50 + 3 * sin(t * 2.3) + sin(t * 0.9) }' |
    sed '1s/.*/time,"disk{host=""a""}",load/' >"$tmp/seconds.csv"
request POST /v1/import --data-binary @"$tmp/seconds.csv" -H 'Content-Type: text/csv'
check "samples come in" [ "$status" = 200 ]
define='"step": "1s", "lookback": 16, "horizon": 90, "settings": {"epochs": 1, "steps_per_epoch": 3, "batch": 2, "width": 16, "heads": 1}'
put /v1/forecasters/disks '{"select": "disk", "thresholds": {"above": 46}, '"$define"'}'
put /v1/forecasters/web '{"select": "load", '"$define"'}'
for forecaster in disks web; do
    post /v1/forecasters/$forecaster/train ''
    job=$(value .id)
    check "$forecaster trains" wait_for 60 job_ended "$job"
done
post /v1/forecasters/web/issue ''
check "it issues" [ "$status" = 200 ]
odd_at=$(($(date +%s) + 2))
post /v1/samples '{"samples": [{"series": "load", "time": '$odd_at'000, "value": 500}]}'

get /v1/crossings
check "the fleet has one that crosses" is '.of == 1 and .crossings[0].probability > 0.5' true
expected=$(value '.crossings[0].at["0.5"] | fromdateiso8601')
check "when the line does, give or take" [ "$expected" -gt $((now + 40)) ]
check "and not long after" [ "$expected" -lt $((now + 80)) ]
"$frwkvd" crossings -c "$conf" -q >"$tmp/table"
check "the command shows it" grep -q '^  disks  *disk{host="a"}  *above 46 ' "$tmp/table"
"$frwkvd" crossings disks -c "$conf" -q --json >"$tmp/json"
check "of one forecaster, as JSON" [ "$(jq '.crossings | length' "$tmp/json")" = 1 ]
"$frwkvd" crossings --series x -c "$conf" -q 2>"$tmp/refusal" && status=0 || status=$?
check "a series without a forecaster is refused" [ "$status" = 2 ]

curl -fsS "$url/metrics" >"$tmp/metrics"
check "a metric tells the soonest" grep -q '^frwkvd_crossing_timestamp_seconds{forecaster="disks",p="0.5"} 1' "$tmp/metrics"
promtool query instant "$url" 'disk:crossing_timestamp_seconds{p="0.5",threshold="above"}' >"$tmp/series" 2>&1 || :
body=$(cat "$tmp/series")
check "and a series of its own each" grep -q 'disk:crossing_timestamp_seconds{forecaster="disks", host="a", p="0.5", threshold="above"} => 1' "$tmp/series"
promtool query instant "$url" 'disk:crossing_probability > 0.5' >"$tmp/series" 2>&1 || :
check "with its probability" grep -q 'disk:crossing_probability{forecaster="disks"' "$tmp/series"

odd() {
    get /v1/forecasters/web/anomalies
    is '[.anomalies[] | select(.value == 500 and .score > 5 and .direction == "above")] | length' 1
}
check "an outlier is told of, with the band issued before it" wait_for 10 odd
check "which says so" is '[.anomalies[] | select(.value == 500)][0] | .issued < .time and .high < .value' true
stop
done_testing
