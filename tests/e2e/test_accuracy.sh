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

# Outside: every issue and every sample as exported, in awk.
outside() {
    get /v1/forecasters/web/accuracy?as_of="$as_of"
    wanted=$(value '.rows[] | select(.series == "load" and .bucket == "all") | "\(.values) \(.mae) \(.bias) \(.coverage)"')
    curl -fsS "$url/v1/samples?series=load&limit=10000&as_of=$as_of" >"$tmp/samples"
    : >"$tmp/issues"
    last=0 at=$as_of
    # Back from the newest issue to the first.
    while curl -fsS "$url/v1/forecasters/web/forecast?as_of=$at" >"$tmp/issue" 2>/dev/null; do
        cat "$tmp/issue" >>"$tmp/issues"
        at=$(jq -r '.issued | (sub("\\.[0-9]+Z$"; "Z") | fromdateiso8601 * 1000) - 1 +
            ((capture("\\.(?<ms>[0-9]+)Z$").ms // "0") | tonumber)' "$tmp/issue")
    done
    got=$(jq -rs --slurpfile samples "$tmp/samples" --arg as_of "$as_of" '
        ($samples[0].samples | map({key: (.time | sub("\\.[0-9]+Z$"; "Z")), value: .value}) | from_entries) as $at
        | [.[] | .times as $t | .forecasts[] | .values as $v | range(0; $t | length) as $j
           | ($t[$j] | sub("\\.[0-9]+Z$"; "Z")) as $when
           | select($at[$when] != null and ($when | fromdateiso8601) + 1 <=
                    ($as_of | sub("\\.[0-9]+Z$"; "Z") | fromdateiso8601))
           | {y: $at[$when], lo: $v["0.1"][$j], mid: $v["0.5"][$j], hi: $v["0.9"][$j]}]
        | "\(length) \(map(.mid - .y | fabs) | add / length) \(map(.mid - .y) | add / length) \(map(if .y >= .lo and .y <= .hi then 1 else 0 end) | add / length)"' "$tmp/issues")
    body="daemon: $wanted, outside: $got"
    echo "$wanted $got" | awk '{ for (i = 1; i <= 4; i++) { d = $i - $(i + 4); if (d < 0) d = -d
        if (d > 1e-6) exit 1 } exit NF != 8 }'
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
