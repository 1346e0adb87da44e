#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A forecaster that runs itself: its first model, forecasts on time, whatever trains
# beside them and whoever pulls the plug.
. "$(dirname "$0")/lib.sh"

settings='"settings": {"epochs": 2, "steps_per_epoch": 20, "batch": 4, "width": 16, "heads": 1}'
jobs() { curl -fsS "$url/v1/jobs?limit=10000"; }
# done_forecasts -- how many forecast jobs of web have ended well.
done_forecasts() {
    jobs | jq '[.jobs[] | select(.kind == "forecast" and .forecaster == "web" and .state == "done")] | length'
}
more_than() { [ "$(done_forecasts)" -gt "$1" ]; }

# Many more threads than cores: nobody may wait for anybody for ever.
configure '[train]\nthreads = 16\ncheckpoint_every = 1s\n'
start
put /v1/forecasters/web '{"select": "load", "step": "1h", "lookback": 48, "horizon": 24, '"$settings"',
    "train": {"every": "1d"}, "forecast": {"every": "1s"}}'
check "a schedule can be given" is '.train.every + " " + .forecast.every' "1d 1s"
revision=$(value .revision)
put /v1/forecasters/bad '{"select": "load", "step": "1h", "train": {"cron": "0 25 * * *"}}'
check "a bad one is refused by name" problem 400 train.cron "hour must be a list of 0..23"
check "nothing is asked of a forecaster without data" [ "$(jobs | jq '.jobs | length')" = 0 ]

wave 500 3 >"$tmp/wave.csv"
request POST "/v1/import?history=true" --data-binary @"$tmp/wave.csv" -H 'Content-Type: text/csv'
put /v1/forecasters/web '{"select": "load", "step": "1h", "lookback": 48, "horizon": 24, '"$settings"',
    "train": {"every": "2d"}, "forecast": {"every": "1s"}}'
check "a new schedule is no new revision" is .revision "$revision"
check "with data there, the first model comes by itself, and forecasts" wait_for 60 more_than 2
check "the reason is told" [ "$(jobs | jq -r '[.jobs[] | select(.kind == "train")][0].reason')" = \
    "there is no model yet" ]

# A long training does not hold forecasts up, nor they it.
put /v1/forecasters/long '{"select": "load", "step": "1h", "lookback": 48, "horizon": 24, "settings":
    {"epochs": 1000, "patience": 1000, "steps_per_epoch": 50, "batch": 4}}'
post /v1/forecasters/long/train ''
long=$(value .id)
running() { get "/v1/jobs/$long" && is '.state == "running" and .progress.step > 0' true; }
check "a long training begins" wait_for 60 running
there=$(done_forecasts)
check "forecasts go on beside it" wait_for 60 more_than $((there + 3))
check "and so does it" running

# Pulled plug: what is due goes on, and nothing comes twice.
stop KILL
start
there=$(done_forecasts)
check "after a kill they go on" wait_for 60 more_than $((there + 2))
check "and the training as well" wait_for 60 running
check "its second attempt" is '.attempts > 1' true
check "no second has two forecasts" [ "$(jobs | jq '[.jobs[] | select(.kind == "forecast" and
    .reason == "schedule") | .created[0:19]] | group_by(.) | map(length) | max')" = 1 ]
check "every scheduled forecast is in the ledger" [ "$(jobs | jq '[.jobs[] | select(.kind ==
    "forecast" and .state == "failed")] | length')" = 0 ]
request DELETE "/v1/jobs/$long"

# Deleted, it asks for nothing more.
request DELETE /v1/forecasters/web
check "it can be deleted" [ "$status" = 204 ]
quiet() { [ "$(jobs | jq '[.jobs[] | select(.forecaster == "web" and (.state == "queued" or .state == "running"))] | length')" = 0 ]; }
check "its last jobs end" wait_for 20 quiet
last=$(jobs | jq '[.jobs[] | select(.forecaster == "web")] | length')
put /v1/forecasters/other '{"select": "load", "step": "1h", "lookback": 48, "horizon": 24, '"$settings"',
    "train": {"every": "1d"}, "forecast": {"every": "1s"}}'
others() { [ "$(jobs | jq '[.jobs[] | select(.forecaster == "other" and .kind == "forecast")] | length')" -gt 2 ]; }
check "while others go on" wait_for 60 others
check "it asks for nothing" [ "$(jobs | jq '[.jobs[] | select(.forecaster == "web")] | length')" = "$last" ]
stop
check "the daemon ends well" [ "$stopped" = 0 ]
done_testing
