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

# Under a notify socket, to see what the service manager is told.
program=$frwkvd
printf '#!/bin/sh\nexec %s/tests/tools/under_notify %s "$@" >%s\n' "${BUILD:-build}" "$program" "$tmp/notified" \
    >"$tmp/frwkvd"
chmod +x "$tmp/frwkvd"
frwkvd=$tmp/frwkvd
configure '[train]\nthreads = 1\n'
start
frwkvd=$program
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
    # The rate is that of whole steps, so it comes after the first.
    [ "$(value '(.progress.steps_per_s // 0) > 0')" = true ]
}
check "a running job shows its progress" wait_for 30 progressed
check "with phase, epoch, loss, rate and ETA" sh -c "printf %s '$body' | jq -e '.progress
    | .phase == \"fit\" and .epochs == 1000 and (.loss_train | type == \"number\")
      and .steps_per_s > 0 and .eta_s > 0'"
check "the service manager sees what goes on" \
    wait_for 20 grep -qE '^STATUS=Serving on port [0-9]+; train long: fit +epoch [0-9]+/1000 ' "$tmp/notified"
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

check "and when it is over" sh -c "grep '^STATUS=' '$tmp/notified' | tail -n 1 | grep -qxE 'STATUS=Serving on port [0-9]+'"

# Progress as it comes, until the end.
listen() {
    curl -sN --max-time $((60 * ${PATIENCE:-1})) -D "$tmp/events.head" "$url/v1/jobs/$1/events" >"$tmp/events.$1"
    echo $? >"$tmp/events.$1.status"
}
put /v1/forecasters/told "$(definition 60)" # some seconds: progress comes once in each
post /v1/forecasters/told/train ''
told=$(value .id)
listen "$told" &
listener=$!
check "a listened-to job ends" wait_for 60 job_ended "$told"
wait $listener
check "the stream ends with it" [ "$(cat "$tmp/events.$told.status")" = 0 ]
check "it is a stream of events" grep -qi '^content-type: text/event-stream' "$tmp/events.head"
check "there was progress before" [ "$(grep -c '^event: progress' "$tmp/events.$told")" -ge 2 ]
check "with epochs and losses" sh -c "sed -n 's/^data: //p' '$tmp/events.$told' |
    jq -se 'map(select(.progress.step > 0)) | length > 0'"
check "the end comes once, and last" sh -c \
    "grep '^event' '$tmp/events.$told' | tail -n 1 | grep -qx 'event: end' &&
     [ \$(grep -c '^event: end' '$tmp/events.$told') = 1 ]"
check "with the result" sh -c "sed -n 's/^data: //p' '$tmp/events.$told' | tail -n 1 |
    jq -e '.state == \"done\" and .result.model > 0'"
listen "$told"
check "of a job that has ended the end is told at once" \
    [ "$(grep -c '^event:' "$tmp/events.$told")" = 1 ]
get /v1/jobs/99999/events
check "of none there is nothing to tell" problem 404 "" ""

# A backtest of the forecaster's own history is a job, too.
post /v1/forecasters/told/backtest '{"split": "0.6,0.2,0.2"}'
check "a backtest can be asked for" [ "$status" = 202 ]
backtest=$(value .id)
check "it ends" wait_for 60 job_ended "$backtest"
check "well, with every candidate judged" is \
    '[.state, ([.result.results[] | select(.bucket == "all")] | length > 5)] | @json' '["done",true]'
post /v1/forecasters/told/backtest '{"split": "last:400"}'
backtest=$(value .id)
check "one that cannot be held ends" wait_for 20 job_ended "$backtest"
check "and says why" is '.state + (.error | test("rows|steps") | tostring)' failedtrue

# Versions: the second training made a challenger, and either can serve.
post /v1/forecasters/told/train ''
challenger=$(value .id)
check "a challenger is trained" wait_for 60 job_ended "$challenger"
check "its trial is told" is '.result.trial.champion > 0 and (.result.trial.change | type == "number")' true
serves=$(value .result.serves)
check "it serves if it was better" is .result.trial.better "$serves"
get /v1/forecasters/told/models
check "both versions are listed, one serves" is '[.models[] | .serves] | (length == 2) and (map(select(.)) | length == 1)' true
other=$(value '[.models[] | select(.serves | not)][0].id')
post "/v1/forecasters/told/models/$other/restore" ''
check "the other can be restored" [ "$status" = 200 ]
get /v1/forecasters/told/forecast
check "and serves" is .model.id "$other"

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

get "/v1/jobs?kind=trian"
check "a kind there is none of is refused" problem 400 kind "one of train, forecast, backtest, convert"
get "/v1/jobs?forecaster=told&kind=train&state=done"
check "jobs can be asked for by forecaster, kind and state" is '[.jobs[] | .kind + .forecaster + .state] | unique | @json' \
    '["traintolddone"]'
get "/v1/jobs?state=lost"
check "of a state that there is" problem 400 state "must be one of queued, running"
"$program" models told -q -c "$conf" >"$tmp/out"
body=$(cat "$tmp/out")
check "frwkvd models lists both" [ "$(grep -cE '^ +[0-9]+ ' "$tmp/out")" = 2 ]
check "with the one that serves" grep -qE "^ +$other +yes " "$tmp/out"
check "and the trial in words" grep -qE "error [0-9]+ % (smaller|larger) than of version [0-9]+|nothing to judge it" "$tmp/out"
"$program" models told --restore 99 -q -c "$conf" >"$tmp/out" 2>&1
check "a version that is not there is refused" grep -q "has none of number 99" "$tmp/out"
first=$(curl -s "$url/v1/forecasters/told/models" | jq '[.models[] | select(.serves | not)][0].id')
"$program" models told --restore "$first" -q -c "$conf" >"$tmp/out" 2>&1
check "frwkvd models --restore restores" grep -qE "^ +$first +yes " "$tmp/out"

"$program" train told -q -c "$conf" >"$tmp/out" 2>/dev/null
check "frwkvd train tells how the new model did" \
    grep -qE "^On the newest steps, .*(It serves from now on|It is kept, and does not serve)" "$tmp/out"

# A stream does not hold up the end of the daemon.
post /v1/forecasters/long/train ''
id=$(value .id)
listen "$id" &
listener=$!
heard() { grep -q '^event: progress' "$tmp/events.$id"; }
check "a stream has begun" wait_for 20 heard
began=$(date +%s)
stop
check "it does not hold up the end of the daemon" [ $(($(date +%s) - began)) -lt 10 ]
wait $listener
check "it ends as it should" [ "$(cat "$tmp/events.$id.status")" = 0 ]
check "the daemon ends well" [ "$stopped" = 0 ]
done_testing
