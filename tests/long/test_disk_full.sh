#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The disk is full while a model is trained, while it is kept, and while forecasts are
# issued: the daemon answers on, keeps what it acknowledged, says why, and when there is
# room again does what it could not.
. "$(dirname "$0")/../e2e/lib.sh"

export FULL_DISK=$tmp/full

# fill TEXT -- no more room for files whose path contains it.
fill() { printf '%s\n' "$1" >"$tmp/full.new" && mv "$tmp/full.new" "$FULL_DISK"; }
free() { rm "$FULL_DISK"; }

# The daemon alone has that disk.
program=$frwkvd
printf '#!/bin/sh\nexport ASAN_OPTIONS=verify_asan_link_order=0\nLD_PRELOAD=%s exec %s "$@"\n' \
    "$(readlink -f "${BUILD:-build}/tests/tools/full_disk.so")" "$program" >"$tmp/frwkvd"
chmod +x "$tmp/frwkvd"
frwkvd=$tmp/frwkvd

logged() { [ "$(grep -c -- "$1" "$tmp/log")" -ge "${2:-1}" ]; }
models() { curl -fsS "$url/v1/forecasters/load/models" | jq '.models | length'; }
serving() { curl -fsS "$url/v1/forecasters/load/models" | jq '[.models[] | select(.serves)][0].id'; }
issues() { curl -fsS "$url/v1/jobs?kind=forecast&state=done&limit=1000" | jq '.jobs | length'; }
more_issues() { [ "$(issues)" -gt "$1" ]; }
hour=$(($(date +%s) / 3600 * 3600 - 3600)) # recent, or it is soon past its time
# sample N -- the N-th of a series.
sample() { post /v1/samples "{\"samples\":[{\"series\":\"kept\",\"time\":$((hour + $1))000,\"value\":$1}]}"; }
taken() { sample $((kept + 1)) && [ "$status" = 200 ]; }
retried() { get "/v1/jobs/$id" && is .retries 1; }

definition='"select": "load", "step": "1h", "lookback": 48, "horizon": 24, "settings": {"epochs": '
configure '[train]\nthreads = 1\n'
start
wave 500 2 >"$tmp/wave.csv"
request POST "/v1/import?history=true" --data-binary @"$tmp/wave.csv" -H 'Content-Type: text/csv'
put /v1/forecasters/load "{$definition 60, \"patience\": 60, \"steps_per_epoch\": 50, \"batch\": 4}}"
post /v1/forecasters/load/train ''
id=$(value .id)
check "a model is trained" wait_for 60 job_ended "$id"
check "well" is .state done
sample 1
kept=1
check "a sample is kept" is .stored 1

# still_there -- what is answered while the disk is full.
still_there() {
    check "$1: a forecast is answered" \
        sh -c "curl -fsS '$url/v1/forecasters/load/forecast' | jq -e '.model.id == $first and (.forecasts | length == 2)'"
    check "$1: the model of before serves" [ "$(models) $(serving)" = "$there $first" ]
    sample $((kept + 1))
    check "$1: a sample is refused for now" problem 503 disk "full"
    get "/v1/samples?series=kept&from=${hour}000"
    check "$1: and is not there" is '.samples | length' "$kept"
    get /-/ready
    check "$1: it is not ready" [ "$status" = 503 ]
    check "$1: the log says so, once" [ "$(tail -n +$((told + 1)) "$tmp/log" | grep -c 'store fails.*work=commit: disk: full')" = 1 ]
    post /v1/forecasters/load/issue ''
    check "$1: nothing is issued" problem 503 disk "full"
    get /-/healthy
    check "$1: and healthy" [ "$status" = 200 ]
}

# told_once WHAT -- whether no complaint since $told is in the log again.
told_once() {
    check "$1: nothing is told each second" \
        [ "$(tail -n +$((told + 1)) "$tmp/log" | sed 's/^[^ ]* //' | grep full | sort | uniq -d | wc -l)" = 0 ]
}

rounds=0
# round WHAT WHERE TEXT -- a training that finds no room there.
round() {
    what=$1
    before=$(grep -c 'to be tried again' "$tmp/log")
    there=$(models) first=$(serving)
    post /v1/forecasters/load/train ''
    id=$(value .id)
    trains() { grep -q "job=$id .* phase=fit epoch=2/" "$tmp/log"; }
    wait_for 30 trains
    told=$(wc -l <"$tmp/log")
    fill "$2"
    check "$what: it cannot be kept" wait_for 60 logged 'to be tried again.*\(full\|No space\)' $((before + 1))
    sleep 3 # what is told each second would be told by now
    still_there "$what"
    told_once "$what"
    free
    check "$what: then it says why, and waits to be tried again" wait_for 20 retried
    check "$what: it says" is ".error | test(\"$3\")" true
    check "$what: it waits" is .state queued
    check "$what: what was refused is taken" wait_for 20 taken
    kept=$((kept + 1))
    check "$what: and the log says that it goes on" wait_for 5 logged 'store goes on work=commit' "$((rounds += 1))"
    check "$what: it is tried again, and ends" wait_for 90 job_ended "$id"
    check "$what: well" is '.state + " " + (.attempts | tostring)' "done 2"
    check "$what: it went on from its checkpoint" grep -q "job=$id .* going on from the checkpoint" "$tmp/log"
    check "$what: there is one model more" [ "$(models)" = $((there + 1)) ]
}

round "while it trains" /state/ "No space left on device"
round "while it is kept" /state/frwkvd.db "disk: full"

# The scheduler wants a forecast each second.
there=$(models) first=$(serving)
put /v1/forecasters/load "{$definition 60, \"patience\": 60, \"steps_per_epoch\": 50, \"batch\": 4},
    \"forecast\": {\"every\": \"1s\"}}"
check "the scheduler has forecasts issued" wait_for 30 more_issues 1
told=$(wc -l <"$tmp/log")
fill /state/
sleep 4
still_there "by schedule"
told_once "by schedule"
check "by schedule: why is told" [ "$(tail -n +$((told + 1)) "$tmp/log" | grep -c full)" -gt 0 ]
issued=$(issues)
free
check "by schedule: it goes on" wait_for 90 more_issues $((issued + 1))
check "by schedule: none has failed" [ "$(curl -fsS "$url/v1/jobs?state=failed" | jq '.jobs | length')" = 0 ]
stop
check "the daemon ends well" [ "$stopped" = 0 ]
"$program" verify -c "$conf" >"$tmp/out" 2>&1
body=$(cat "$tmp/out")
check "nothing is damaged, and every forecast comes out again" \
    sh -c "grep -q ' 0 damaged' '$tmp/out' && grep -q ' 0 differ' '$tmp/out'"
start
get "/v1/samples?series=kept&from=${hour}000"
check "what was acknowledged is there" is '.samples | length' "$kept"
stop
done_testing
