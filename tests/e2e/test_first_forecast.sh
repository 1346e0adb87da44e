#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Samples and CSV in, a definition, a training, a forecast; the same after a restart.
. "$(dirname "$0")/lib.sh"

wave 500 3 >"$tmp/wave.csv"
configure '[train]\ncheckpoint_every = 1s\n'
start

request POST "/v1/import?history=true" -H 'Content-Type: text/csv' --data-binary @"$tmp/wave.csv"
check "a CSV file is taken" [ "$status" = 200 ]
check "and counted" sh -c "printf %s '$body' | jq -e '.received == 1500 and .stored == 1500'"

now=$(instant -60)
post /v1/samples "{\"samples\": [{\"series\": \"load{host=\\\"h1\\\"}\", \"time\": \"$now\", \"value\": 51.5},
                               {\"series\": \"other\", \"time\": \"$now\", \"value\": 1}]}"
check "samples are taken" [ "$status" = 200 ]
check "and counted, too" is .stored 2
get /v1/series
check "the series are there" is '.series | length' 4
check "in their canonical form" is '.series[0].series' 'load{host="h1"}'
request GET /v1/samples -G --data-urlencode 'series=load{host="h1"}' -d limit=100000
check "all samples of one read back" is '.samples | length' 501

definition='{"select": "load", "step": "1h", "lookback": 48, "horizon": 24, "min": 0,
  "settings": {"width": 16, "ff": 16, "heads": 2, "lift": 1, "rank": 4, "epochs": 2,
               "steps_per_epoch": 10, "batch": 8}}'
put /v1/forecasters/load "$definition"
check "a forecaster is made" [ "$status" = 201 ]
put /v1/forecasters/load "$definition"
check "again changes nothing" [ "$status" = 200 ]
check "and keeps the revision" is .revision 1
get /v1/forecasters/load/forecast
check "before a training there is none, and it says so" problem 409 "" "train"

post /v1/forecasters/load/train ''
check "a training is accepted" [ "$status" = 202 ]
id=$(value .id)
check "it ends" wait_for 60 job_ended "$id"
check "well" is .state done
check "the job keeps the judgement" is '.result.results | map(.candidate) | contains(["frwkv"])' true

get /v1/forecasters/load/forecast
check "the forecast is served" [ "$status" = 200 ]
check "for every series" is '.forecasts | length' 3
check "and names model, watermark and candidates" is \
    '(.model.hash | length == 64) and has("watermark") and (.forecasts | all(.candidates | length > 0))' true
curl -fsS "$url/v1/forecasters/load/forecast?format=csv" >"$tmp/before.csv"
check "as CSV, too" [ "$(wc -l <"$tmp/before.csv")" -gt 72 ]
get "/v1/forecasters/load/forecast?horizon=6&format=rows"
check "as rows, and shorter" is 'length' 18
"$frwkvd" forecast -c "$conf" load >"$tmp/out" 2>"$tmp/err"
check "the command prints every series" [ "$(grep -c '^load{' "$tmp/out")" = 3 ]
post /v1/forecasters/load/issue ''
check "a forecast can be issued" [ "$status" = 200 ] || [ "$status" = 201 ]

stop
check "the daemon ends well" [ "$stopped" = 0 ]
start
curl -fsS "$url/v1/forecasters/load/forecast?format=csv" >"$tmp/after.csv"
check "after a restart the forecast is the same" cmp "$tmp/before.csv" "$tmp/after.csv"
request GET /v1/samples -G --data-urlencode 'series=load{host="h1"}' -d limit=100000
check "and so are the samples" is '.samples | length' 501
"$frwkvd" verify -c "$conf" >"$tmp/verify" 2>&1 && status=0 || status=$?
body=$(cat "$tmp/verify")
check "what was issued comes out again" grep -q '^replayed 6 forecasts of 2 issues of load: 6 the same, 0 differ$' "$tmp/verify"
check "so all is well" [ "$status" = 0 ]
stop
"$frwkvd" verify -c "$conf" --replay 1 >"$tmp/verify" 2>&1 || :
body=$(cat "$tmp/verify")
check "without a daemon, too" grep -q '^replayed 3 forecasts of 1 issues of load: 3 the same, 0 differ$' "$tmp/verify"
"$frwkvd" verify -c "$conf" --replay 0 >"$tmp/verify" 2>&1 || :
check "and not where that is not wanted" [ "$(grep -c replayed "$tmp/verify")" = 0 ]

"$frwkvd" forecast -c "$conf" load >"$tmp/own" 2>"$tmp/err"
check "without a daemon the command says the same" cmp "$tmp/out" "$tmp/own"
"$frwkvd" train -c "$conf" load >"$tmp/out" 2>"$tmp/err"
check "and trains by itself" grep -q seasonal_naive "$tmp/out"
done_testing
