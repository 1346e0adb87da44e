#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A forecaster that streams: all its series are served from states, with the same bits as
# from history, over late samples, another model, a clean stop and a kill.
. "$(dirname "$0")/lib.sh"

series=6
wave 260 $series >"$tmp/wave.csv"
configure
start
request POST "/v1/import?history=true" -H 'Content-Type: text/csv' --data-binary @"$tmp/wave.csv"

# figure NAME -- of /metrics.
figure() {
    curl -fsS "$url/metrics" | awk -v name="$1" '$1 == name { print $2 }'
}

# held N, made N, loaded N
held() { [ "$(figure frwkvd_states)" = "$1" ]; }
made() { [ "$(figure frwkvd_states_made_total)" = "$1" ]; }
loaded() { [ "$(figure frwkvd_states_loaded_total)" = "$1" ]; }

define() {
    put /v1/forecasters/load '{"select": "load", "step": "1h", "lookback": 48, "horizon": 12,
      "calendar": [], "settings": {"axis": "patch", "patch": 6, "stream": true, "cycle": false,
        "mixer": "'"$1"'", "causal": true, "width": 8, "ff": 8, "heads": 2, "lift": 1, "rank": 4,
        "layers": 1, "epochs": 1, "steps_per_epoch": 5, "batch": 8}}'
}

train() {
    post /v1/forecasters/load/train ''
    id=$(value .id)
    wait_for 60 job_ended "$id" && [ "$(value .state)" = done ]
}

# All of a forecast from states, and what verify makes of it from history.
from_states() {
    before=$(figure 'frwkvd_series_served_total{from="state"}')
    history=$(figure 'frwkvd_series_served_total{from="history"}')
    post /v1/forecasters/load/issue ''
    check "$1: a forecast is issued" [ "$(value '.forecasts | length')" = $series ]
    check "$1: all of it from states" \
        [ "$(figure 'frwkvd_series_served_total{from="state"}')" = $((before + series)) ]
    check "$1: none from history" \
        [ "$(figure 'frwkvd_series_served_total{from="history"}')" = "$history" ]
    check "$1: the same from history" "$frwkvd" verify -c "$conf" --replay 1
}

define linear
check "a forecaster that streams is taken" [ "$status" = 201 ]
check "and trained" train
check "every series gets a state" wait_for 20 held $series
check "made from history once" made $series
from_states "the first model"

now=$(instant -360000)
post /v1/samples "{\"samples\": [{\"series\": \"load{host=\\\"h1\\\"}\", \"time\": \"$now\", \"value\": 77}]}"
check "a late sample has one made anew" wait_for 20 made $((series + 1))
check "and no other is lost" held $series
from_states "after a late sample"

define rwkv7
check "another model is trained" train
check "all states are made anew for it" wait_for 20 made $((2 * series + 1))
check "and held" held $series
from_states "the second model"

stop
start
check "after a stop they come from the store" wait_for 20 loaded $series
check "none is made" made 0
from_states "after a stop"
kill -9 "$pid"
wait "$pid" 2>/dev/null
pid=
start
check "after a kill, too" wait_for 20 loaded $series
check "and none is made" made 0
from_states "after a kill"
stop
check "the daemon ends well" [ "$stopped" = 0 ]
done_testing
