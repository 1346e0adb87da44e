#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A job that takes too long is ended and holds up nobody; so is one listener too many.
. "$(dirname "$0")/lib.sh"

# definition EPOCHS STEPS -- of a forecaster trained for so many of each.
definition() {
    printf '{"select": "load", "step": "1h", "lookback": 48, "horizon": 24, "settings":
             {"epochs": %s, "patience": %s, "steps_per_epoch": %s, "batch": 4}}' "$1" "$1" "$2"
}

configure '[train]\nthreads = 1\n[jobs]\ntimeout = 6s\n'
start
wave 500 2 >"$tmp/wave.csv"
request POST "/v1/import?history=true" --data-binary @"$tmp/wave.csv" -H 'Content-Type: text/csv'
put /v1/forecasters/long "$(definition 1000 1000)"
put /v1/forecasters/short "$(definition 1 5)"
post /v1/forecasters/long/train ''
long=$(value .id)
post /v1/forecasters/short/train ''
short=$(value .id)

listeners=
for i in $(seq 64); do
    curl -sN --max-time 60 -o "$tmp/told.$i" "$url/v1/jobs/$short/events" &
    listeners="$listeners $!"
done
all_listen() { [ "$(cat "$tmp"/told.* 2>/dev/null | grep -c '^event: progress')" -ge 64 ]; }
check "64 listen to a job" wait_for 30 all_listen
get "/v1/jobs/$short/events"
check "one more is told to come later" problem 503 "" "at most 64 listen"

check "a job past its time ends" wait_for 30 job_ended "$long"
check "as failed, and says what limit it passed" \
    is '.state + ": " + .error' 'failed: timeout: it ran longer than 6s ([jobs] timeout)'
check "the one behind it is done" wait_for 30 job_ended "$short"
check "well" is .state done
check "no checkpoint is left" [ "$(find "$tmp/state/checkpoints" -type f | wc -l)" = 0 ]
wait $listeners
check "and every listener heard its end" [ "$(cat "$tmp"/told.* | grep -c '^event: end')" = 64 ]
get "/v1/jobs/$short/events"
check "there is room again" [ "$status" = 200 ]
stop
done_testing
