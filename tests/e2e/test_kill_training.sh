#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kill -9 and SIGTERM during a training: after the restart the job goes on from its last
# checkpoint, to the same weights and forecast as an undisturbed run; of series that a plan
# and the hour move, as the forecaster knows.  POINTS says when: "fit:2 refit:1".
. "$(dirname "$0")/lib.sh"

# The plan is known for a day more than the series.
tones 700 3 86400 | awk -F, -v OFS=, -v plan="$tmp/plan.json" '
    function planned(i) { return int(i / 6) * 7919 % 100 < 30 }
    NR == 1 { print; next }
    {
        if (NR == 2) printf "{\"known\": \"always\", \"from\": %s000, \"step\": \"1h\", \"values\": [", $1 >plan
        for (s = 2; s <= NF; s++)
            $s += 2 * planned(NR) + ($1 % 86400 < 28800 ? 1.5 : 0)
        printf "%d, ", planned(NR) >plan
        print
    }
    END { for (i = 1; i <= 24; i++) printf "%s%d", (i > 1 ? ", " : ""), planned(NR + i) >plan; print "]}" >plan }
' >"$tmp/wave.csv"
definition='{"select": "load", "step": "1h", "lookback": 96, "horizon": 24, "covariates": ["plan"],
  "settings": {"epochs": 5, "patience": 5, "steps_per_epoch": '${STEPS:-200}', "batch": 4,
               "learning_rate": 0.002}}'

# begin -- a fresh daemon with data and a definition.
begin() {
    rm -rf "$tmp/state"
    : >"$tmp/log"
    start
    request POST "/v1/import?history=true" -H 'Content-Type: text/csv' \
        --data-binary @"$tmp/wave.csv"
    put /v1/covariates/plan "@$tmp/plan.json"
    put /v1/forecasters/load "$definition"
    post /v1/forecasters/load/train ''
    id=$(value .id)
}

# reached PHASE EPOCH -- whether the job has come there, or ended.  The log is ahead of
# the job's row, which is written once a second.
reached() {
    grep -q "phase=$1 epoch=$2/" "$tmp/log" || job_ended "$id"
}

# round SIGNAL -- trains, disturbed at every point.  False when the job was done sooner
# than the signal came: on a busy machine that happens, and shows nothing.
round() {
    begin
    for point in ${POINTS:-fit:2 refit:1}; do
        wait_for 240 reached "${point%:*}" "${point#*:}"
        stop "$1"
        [ "$1" = KILL ] || check "$1 at $point ends it well" [ "$stopped" = 0 ]
        kept=$(find "$tmp/state/checkpoints" -name 'load-*.safetensors' | wc -l)
        start
        if [ "$kept" = 0 ] && job_ended "$id" && is .state done; then
            stop
            return 1
        fi
        # A kill in the first second comes before the first checkpoint, and costs no more.
        [ "$1:$point" = KILL:fit:1 ] || check "$1 at $point: a checkpoint is there" [ "$kept" = 1 ]
    done
}

# disturbed SIGNAL -- a round that was disturbed for sure, and what came of it.
disturbed() {
    rounds=1
    until round "$1"; do
        rounds=$((rounds + 1))
        [ $rounds -le 5 ] || { echo "not ok $1 finds the training at work"; exit 1; }
    done
    check "$1: the job goes on and ends" wait_for 240 job_ended "$id"
    check "$1: well" is .state done
    check "$1: after more than one attempt" [ "$(value .attempts)" -gt 1 ]
    check "$1: it went on from a checkpoint" grep -q "checkpoint" "$tmp/log"
    check "$1: to the weights of the undisturbed run" [ "$(value .result.hash)" = "$hash" ]
    check "$1: the checkpoint is gone" \
        [ "$(find "$tmp/state/checkpoints" -type f | wc -l)" = 0 ]
    get /v1/forecasters/load/forecast
    check "$1: and so is the forecast" [ "$(value "$numbers")" = "$forecast" ]
    stop
}

configure '[train]\nthreads = 1\ncheckpoint_every = 1s\n'
begin
check "an undisturbed training ends" wait_for 240 job_ended "$id"
check "well" is .state done
check "the network serves" [ "$(value .result.params)" -gt 0 ]
check "with what is known in advance" is \
    '[.result.covariates[] | select(.series > 0) | .name] | sort | join(" ")' "calendar.hour plan"
hash=$(value .result.hash)
check "its model has a hash" [ ${#hash} = 64 ]
get /v1/forecasters/load/forecast
numbers='[.forecasts[] | .series, .candidates, .covariates, .values] | tojson'
forecast=$(value "$numbers")
check "it forecasts by the network and the plan" is \
    '[.forecasts[] | .served and any(.candidates[]; .candidate == "frwkv") and (.covariates | sort == ["calendar.hour", "plan"])] | all' true
stop
disturbed KILL
disturbed TERM
done_testing
