#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A softmax model becomes one of linear cost: as a job, from the command line, and only
# where it loses nothing; killed in the middle, too, and then as if it had not been.
. "$(dirname "$0")/lib.sh"

export FRWKVD_FAILPOINTS=$tmp/failpoints
mkdir "$FRWKVD_FAILPOINTS"
configure '[train]\nthreads = 1\n'
start
# Waves that no season of 8 repeats, with spikes: what a network serves.
awk 'BEGIN { srand(1); print "time,load"; for (i = 0; i < 320; i++)
    printf "%d,%.4f\n", i * 3600, 20 + sin(i * 6.2831853 / 5.5) + 0.2 * (rand() - 0.5) + (i * 7 % 31 == 0) * 10 }' \
    >"$tmp/waves.csv"
request POST "/v1/import?history=true" --data-binary @"$tmp/waves.csv" -H 'Content-Type: text/csv'
put /v1/forecasters/web '{"select": "load", "step": "1h", "lookback": 16, "horizon": 8, "season": 8, "settings":
    {"mixer": "softmax", "axis": "patch", "patch": 4, "width": 8, "ff": 8, "heads": 2, "lift": 1, "layers": 1,
     "epochs": 8, "batch": 8, "learning_rate": 0.01, "luna_m": 2, "luna_lc": 2, "luna_hidden": 8}}'
check "the forecaster is defined" [ "$status" -lt 300 ]
post /v1/forecasters/web/convert '{"mixer": "rwkv7"}'
check "no other mixer is taken" problem 400 mixer "inline or luna"
post /v1/forecasters/web/convert '{"mixer": "luna"}'
check "a conversion is a job" [ "$status" = 202 ]
first=$(value .id)
check "which ends" wait_for 20 job_ended "$first"
check "and fails where nothing serves" is '.state + ": " + .error' "failed: forecaster web: no model serves, train it first"

"$frwkvd" train web -c "$conf" --json -q >"$tmp/train"
check "softmax is trained and serves" jq -se '.[0].result.params > 0' "$tmp/train"
"$frwkvd" convert web --to luna -c "$conf" --json -q >"$tmp/convert"
check "it is converted" jq -se '.[0] | .state == "done" and .kind == "convert" and .params.mixer == "luna"' "$tmp/convert"
check "luna's layers say what softmax's said" jq -se '.[0].result.trial | .layers_after < .layers_before' "$tmp/convert"
check "it serves only if the loss hardly grew" jq -se '.[0].result | .serves == (.trial.loss_converted <=
    1.005 * .trial.loss_softmax) and .serves == .trial.better' "$tmp/convert"
get /v1/forecasters/web/models
check "both are among the versions" is '[.models[].id] | length' 2
check "and the trial names who it was against" is '.models[0].trial | .champion' 1
get /v1/forecasters/web/forecast
check "who serves forecasts" [ "$status" = 200 ]
"$frwkvd" convert web --to inline -c "$conf" -q >"$tmp/out" 2>&1
check "the command says how it went, or why not" grep -qE 'serves from now on|is kept|must be softmax, it is luna' "$tmp/out"
"$frwkvd" convert web -c "$conf" >"$tmp/out" 2>&1
check "and what it wants" grep -q -- '--to: inline or luna expected' "$tmp/out"

writer_hangs() { curl -fsS "$url/metrics" | grep 'silent_seconds{part="writer"}' | grep -qv ' 0$'; }

# killed -- kill -9 with a conversion at work: nothing of it is written any more.  False
# when it was done sooner.
killed() {
    post /v1/forecasters/web/models/1/restore ''
    get /v1/forecasters/web/models
    before=$(value '.models | length')
    post /v1/forecasters/web/convert '{"mixer": "luna"}'
    id=$(value .id)
    until grep -q "starting job=$id " "$tmp/log"; do sleep 0.01; done
    touch "$FRWKVD_FAILPOINTS/writer"
    wait_for 10 writer_hangs
    stop KILL
    rm "$FRWKVD_FAILPOINTS/writer"
    ! grep -q "done job=$id " "$tmp/log"
}
hash=$(jq -r '.result.hash' "$tmp/convert")
check "a conversion has a hash" [ ${#hash} = 64 ]
rounds=1
until killed; do
    rounds=$((rounds + 1))
    [ $rounds -le 5 ] || { echo "not ok kill -9 finds the conversion at work"; exit 1; }
    start
done
start
check "killed, it begins again" wait_for 20 job_ended "$id"
check "and ends" is '.state + " " + (.attempts | tostring)' "done 2"
check "with the weights of the undisturbed one" is .result.hash "$hash"
get /v1/forecasters/web/models
check "published once" is '.models | length' $((before + 1))
check "beside the softmax model that it was made of" is '[.models[] | select(.id == 1)] | length' 1
check "no checkpoint is left" [ "$(find "$tmp/state/checkpoints" -type f | wc -l)" = 0 ]
get /v1/forecasters/web/forecast
check "and forecasts are served" [ "$status" = 200 ]
stop
check "it stops" [ "$stopped" = 0 ]
"$frwkvd" verify -c "$conf" >"$tmp/out" 2>&1
check "nothing is damaged" grep -q ' 0 damaged' "$tmp/out"
done_testing
