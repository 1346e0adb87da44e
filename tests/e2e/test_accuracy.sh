#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What was issued, beside what happened: figures that anybody can work out again from what
# the daemon exports.
. "$(dirname "$0")/lib.sh"

settings='"settings": {"epochs": 2, "steps_per_epoch": 20, "batch": 4, "width": 16, "heads": 1}'
configure
start
# seconds FROM TO -- a CSV of every second, from now on.
seconds() {
    awk -v from="$1" -v to="$2" -v now="$(date +%s)" 'BEGIN {
        print "time,load"
        for (t = now + from; t < now + to; t++)
            printf "%d,%.4f\n", t, 50 + 20 * sin(t / 5) + (t % 7 == 0 ? 9 : 0) }' >"$tmp/seconds.csv"
    request POST "/v1/import" --data-binary @"$tmp/seconds.csv" -H 'Content-Type: text/csv'
}
# Of the future a few minutes at once, which nobody sees before their time: targets come to
# pass while one waits.
seconds -400 400
put /v1/forecasters/web '{"select": "load", "step": "1s", "lookback": 32, "horizon": 8, "season": 31, '"$settings"'}'
get /v1/forecasters/web/accuracy
check "nothing issued yet is no error" is '.issues == 0 and .rows == []' true
post /v1/forecasters/web/train ''
job=$(value .id)
check "it trains" wait_for 60 job_ended "$job"
post /v1/forecasters/web/issue ''
passed() {
    get /v1/forecasters/web/accuracy
    is '.issues >= 2 and ([.rows[] | select(.series == null and .bucket == "all") | .values] | add) >= 12' true
}
check "what was issued comes to pass" wait_for 40 passed
curl -fsS "$url/v1/forecasters/web/accuracy" >"$tmp/accuracy"
as_of=$(jq -r .as_of "$tmp/accuracy")

# Outside: every issue and every sample as exported, in jq.  A line for each part of the
# horizon: values, MAE, bias, MASE (over the season's error, 31 steps, in the look-back of
# 32 before the issue), WQL, coverage.
outside() {
    get /v1/forecasters/web/accuracy?as_of="$as_of"
    value '.rows[] | select(.series == "load") |
        "\(.bucket) \(.values) \(.mae) \(.bias) \(.mase) \(.wql) \(.coverage)"' >"$tmp/wanted"
    curl -fsS "$url/v1/samples?series=load&limit=10000&as_of=$as_of" >"$tmp/samples"
    : >"$tmp/issues"
    at=$as_of
    # Back from the newest issue to the first.
    while curl -fsS "$url/v1/forecasters/web/forecast?as_of=$at" >"$tmp/issue" 2>/dev/null; do
        cat "$tmp/issue" >>"$tmp/issues"
        at=$(jq -r '.issued | (sub("\\.[0-9]+Z$"; "Z") | fromdateiso8601 * 1000) - 1 +
            ((capture("\\.(?<ms>[0-9]+)Z$").ms // "0") | tonumber)' "$tmp/issue")
    done
    jq -rs --slurpfile samples "$tmp/samples" --arg as_of "$as_of" '
        def seconds: sub("\\.[0-9]+Z$"; "Z") | fromdateiso8601;
        def mean: add / length;
        ($samples[0].samples | map({key: (.time | seconds | tostring), value}) | from_entries) as $at
        | ($as_of | seconds) as $now
        | [.[] | (.times | map(seconds)) as $t | .forecasts[] | .values as $v
           | ([range(1; 33) | ($t[0] - .) as $s | [$at[$s | tostring], $at[$s - 31 | tostring]]
               | select(all(. != null)) | .[0] - .[1] | fabs] | mean) as $scale
           | range(0; $t | length) as $j
           | select($at[$t[$j] | tostring] != null and $t[$j] + 1 <= $now)
           | {y: $at[$t[$j] | tostring], lo: $v["0.1"][$j], mid: $v["0.5"][$j], hi: $v["0.9"][$j], $scale,
              bucket: (if $j < 1 then 0 elif $j < 2 then 1 elif $j < 4 then 2 else 3 end)}]
        | map(.loss = ([[0.1, .lo], [0.5, .mid], [0.9, .hi]] as $q | .y as $y
              | [$q[] | if $y >= .[1] then .[0] * ($y - .[1]) else (1 - .[0]) * (.[1] - $y) end] | mean))
        | . as $all | ("all", 0, 1, 2, 3) as $bucket
        | $all | map(select($bucket == "all" or .bucket == $bucket)) | select(length > 0)
        | "\($bucket) \(length) \(map(.mid - .y | fabs) | mean) \(map(.mid - .y) | mean) \(map((.mid - .y | fabs) / .scale) | mean
            ) \(2 * (map(.loss) | add) / (map(.y | fabs) | add)) \(map(if .y >= .lo and .y <= .hi then 1 else 0 end) | mean)"' \
        "$tmp/issues" >"$tmp/got"
    body="daemon: $(cat "$tmp/wanted"), outside: $(cat "$tmp/got")"
    paste -d ' ' "$tmp/wanted" "$tmp/got" | awk '{ if (NF != 14 || $1 != $8) exit 1
        for (i = 2; i <= 7; i++) { d = $i - $(i + 7); if (d < 0) d = -d; if (d > 1e-6) exit 1 } }
        END { exit NR < 5 }'
}
check "an outside recomputation gives the same" outside
"$frwkvd" accuracy web -c "$conf" -q >"$tmp/table"
check "the command shows it" grep -q '^  load  *all  *[0-9]' "$tmp/table"
"$frwkvd" accuracy web -c "$conf" -q --json --days 1 >"$tmp/json"
check "and as JSON" [ "$(jq -r '.rows | length > 0' "$tmp/json")" = true ]
"$frwkvd" accuracy web -c "$conf" -q --days 0 2>"$tmp/refusal" || :
check "a bad wish is refused by name" grep -q 'days: must be 1..3660, got 0' "$tmp/refusal"

stop
done_testing
