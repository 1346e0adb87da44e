#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every answer under /v1 that the end-to-end tests get, and some more, against the
# description at /v1/openapi.yaml.
. "$(dirname "$0")/../e2e/lib.sh"

for program in node npm; do
    command -v $program >/dev/null || { echo "skip all needs $program"; exit 77; }
done
RECORD=$tmp/answers
export RECORD

# Their own results are theirs; what counts here is what they were answered.
for name in first_forecast bad_input jobs covariates import reload accuracy crossings convert \
    credentials job_limits overload metrics; do
    "$(dirname "$0")/../e2e/test_$name.sh" >"$tmp/e2e.log" 2>&1 && status=0 || status=$?
    body=$(grep '^not ok' "$tmp/e2e.log")
    check "test_$name.sh passes while it is recorded" [ "$status" = 0 ]
done

configure
start
wave 400 2 >"$tmp/wave.csv"
request POST /v1/import --data-binary "@$tmp/wave.csv"
put /v1/forecasters/web '{"select": "load", "step": "1h", "lookback": 48, "horizon": 24,
    "thresholds": {"above": 60}, "train": {"every": "1d", "jitter": "5m"}, "forecast": {"cron": "5 * * * *", "zone": "Europe/Berlin"},
    "settings": {"epochs": 1, "steps_per_epoch": 5}}'
request POST /v1/forecasters/web/train
job=$(value .id)
check "a training ends" wait_for 120 job_ended "$job"
get /v1/forecasters
get /v1/forecasters/web
get /v1/forecasters/web/models
request POST "/v1/forecasters/web/models/$(value '.models[0].id')/restore"
request POST /v1/forecasters/web/models/99/restore
get /v1/forecasters/web/forecast
get '/v1/forecasters/web/forecast?format=rows&horizon=3'
get '/v1/forecasters/web/forecast?format=csv'
get '/v1/forecasters/web/forecast?as_of=2999-01-01T00:00:00Z'
get '/v1/forecasters/web/forecast?as_of=1999-01-01T00:00:00Z'
get '/v1/forecasters/web/forecast?as_of=2999-01-01T00:00:00Z&observed=true'
get '/v1/forecasters/web/forecast?as_of=2999-01-01T00:00:00Z&observed=true&format=rows'
get '/v1/forecasters/web/forecast?horizon=0'
get /v1/forecasters/web/accuracy
get '/v1/forecasters/web/accuracy?format=csv'
get /v1/forecasters/web/crossings
get /v1/crossings
get /v1/forecasters/web/calibrations
get /v1/forecasters/web/calibrations/99
get /v1/forecasters/web/replay
get '/v1/forecasters/web/replay?limit=0'
# Bands that adapt: of every second, so that enough comes true while one waits; the future
# at once, which nobody sees before its time.
awk -v now="$(date +%s)" 'BEGIN {
    print "time,pulse"
    for (t = now - 400; t < now + 300; t++)
        printf "%d,%.4f\n", t, 50 + 20 * sin(t / 5) + (t > now && t % 2 ? 9 : 0) }' >"$tmp/seconds.csv"
request POST /v1/import --data-binary @"$tmp/seconds.csv" -H 'Content-Type: text/csv'
put /v1/forecasters/pulse '{"select": "pulse", "step": "1s", "lookback": 32, "horizon": 8, "season": 31,
    "settings": {"epochs": 1, "steps_per_epoch": 5}, "train": {"every": "1d"}, "forecast": {"every": "1s"}}'
calibrated() { get /v1/forecasters/pulse/calibrations && is '.calibrations | length > 0' true; }
check "bands adapt by themselves" wait_for 120 calibrated
get /v1/forecasters/pulse/calibrations/1
check "and say by how much" is '.series[0].below | length' 4
get '/v1/forecasters/pulse/calibrations?limit=1&as_of=2999-01-01T00:00:00Z'
named() { get '/v1/forecasters/pulse/forecast?as_of=2999-01-01T00:00:00Z' && is '.calibration > 0' true; }
check "an issue names it" wait_for 30 named
get '/v1/forecasters/pulse/replay?limit=5'
check "and comes out again" is '.differ == 0 and .issues == 5' true
get /v1/forecasters/web/anomalies
get '/v1/forecasters/web/anomalies?hours=0'
request POST /v1/forecasters/web/issue
post /v1/forecasters/web/backtest '{"split": "0.7,0.1,0.2"}'
job=$(value .id)
get "/v1/jobs/$job"
get "/v1/jobs?kind=train&state=done"
request DELETE "/v1/jobs/$job"
get "/v1/jobs/$job/events"
get /v1/jobs/99999
put /v1/covariates/plan '{"from": "2025-01-01", "to": "2027-01-01", "known": "always", "otherwise": 0,
    "values": [{"from": "2026-12-25", "to": "2026-12-27", "value": 1}]}'
get /v1/covariates
get /v1/covariates/plan
request DELETE /v1/covariates/plan
get /v1/covariates/plan
post /v1/forecast '{"step": "1h", "start": "2026-01-01T00:00:00Z", "horizon": 2, "series":
    {"a": [1,2,3,4,5,6,7,8,9,10,11,12], "b": [1,2,3,4,5,6,7,8,9,10,11,12]}}'
post /v1/samples '{"samples": [{"series": "x", "time": "2026-01-01T00:00:00Z", "value": 1}]}'
post /v1/samples '{"samples": [{"series": "x", "time": "2999-01-01T00:00:00Z", "value": 1}]}'
get '/v1/samples?series=x'
get '/v1/samples?series=x&format=csv'
get '/v1/series?select=load'
get /v1/nothing
request DELETE /v1/samples
request DELETE /v1/forecasters/web
get /v1/openapi.yaml
cp "$tmp/body" "$tmp/openapi.yaml"
check "its version is the program's" grep -q "^  version: $("$frwkvd" --version | awk '{ print $2 }')$" "$tmp/openapi.yaml"
stop

body=$(npm install --prefix "$tmp" --no-save --no-audit --no-fund --ignore-scripts --loglevel=error \
    ajv@8 ajv-formats@3 yaml@2 @seriousme/openapi-schema-validator@2 2>&1) || :
cp "$(dirname "$0")/../tools/answers.js" "$tmp/answers.js"
node "$tmp/answers.js" "$tmp/openapi.yaml" "$RECORD" || failed=1
done_testing
