#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The queue of jobs: one at a time, cancelled on demand, never held up by a bad one.
. "$(dirname "$0")/lib.sh"

# definition EPOCHS -- of a training that takes about that many tenths of a second.
definition() {
    printf '{"select": "load", "step": "1h", "lookback": 48, "horizon": 24, "settings":
             {"epochs": %s, "patience": %s, "steps_per_epoch": 50, "batch": 4}}' "$1" "$1"
}

configure
start
wave 500 2 >"$tmp/wave.csv"
request POST "/v1/import?history=true" --data-binary @"$tmp/wave.csv" -H 'Content-Type: text/csv'
put /v1/forecasters/long "$(definition 1000)"
put /v1/forecasters/gone "$(definition 2)"
put /v1/forecasters/short "$(definition 2)"

post /v1/forecasters/long/train ''
long=$(value .id)
location=$(curl -fsS -o /dev/null -D - -X POST "$url/v1/forecasters/long/train" |
    tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
check "the same training again is the same job" [ "$location" = "/v1/jobs/$long" ]
post /v1/forecasters/gone/train ''
gone=$(value .id)
post /v1/forecasters/short/train ''
short=$(value .id)

progressed() {
    get "/v1/jobs/$long"
    [ "$(value '.progress.step // 0')" -gt 0 ]
}
check "a running job shows its progress" wait_for 30 progressed
check "with phase, epoch, loss, rate and ETA" sh -c "printf %s '$body' | jq -e '.progress
    | .phase == \"fit\" and .epochs == 1000 and (.loss_train | type == \"number\")
      and .steps_per_s > 0 and .eta_s > 0'"
get "/v1/jobs/$short"
check "the others wait" is .state queued
request DELETE /v1/forecasters/gone
check "a forecaster can be deleted meanwhile" [ "$status" = 204 ]

request DELETE "/v1/jobs/$long"
check "a running job can be cancelled" [ "$status" = 200 ]
check "and ends soon" wait_for 20 job_ended "$long"
check "as cancelled" is .state cancelled
check "the job without its forecaster ends, too" wait_for 20 job_ended "$gone"
check "but not well" [ "$(value .state)" != done ]
check "the next is done" wait_for 30 job_ended "$short"
check "well" is .state done
check "with its result for its progress" is '.progress == null and .result.model > 0' true
request DELETE "/v1/jobs/$short"
check "what has ended cannot be cancelled" problem 409 "" ""
check "no checkpoint is left" [ "$(find "$tmp/state/checkpoints" -type f | wc -l)" = 0 ]
get /v1/jobs
check "all are listed, newest first" is '[.jobs[].id] | . == (sort | reverse) and length == 3' true

# The definition changes while it trains: what comes out is not published.
put /v1/forecasters/short "$(definition 300)"
post /v1/forecasters/short/train ''
id=$(value .id)
epoch_logged() { grep -q 'epoch=2/300' "$tmp/log"; }
wait_for 30 epoch_logged
put /v1/forecasters/short "$(definition 3)"
request DELETE "/v1/jobs/$id"
wait_for 20 job_ended "$id"
get /v1/forecasters/short/forecast
check "a model of another revision is never served" problem 409 "" "train"
stop
check "the daemon ends well" [ "$stopped" = 0 ]
done_testing
