#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `backtest` and `forecast --csv`: a file in, one JSON object out.
. "$(dirname "$0")/lib.sh"

small="--set width=16 --set ff=16 --set heads=2 --set lift=1 --set rank=4 --set epochs=2
       --set steps_per_epoch=10 --set batch=8"
wave 600 2 >"$tmp/wave.csv"

# run ARGUMENT... -- $status and $body.
run() {
    status=0
    # the settings are words
    # shellcheck disable=SC2086
    "$frwkvd" "$@" $small --json >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
    body=$(cat "$tmp/out")
}

# holds FILTER -- whether it is true of $body.
holds() {
    printf '%s' "$body" | jq -e "$1" >/dev/null
}

run backtest --csv "$tmp/wave.csv" --lookback 48 --horizon 24 --seed 3
check "a backtest ends well" [ $status = 0 ]
check "the data are described" holds '.data | .rows == 600 and .series == 2 and .step_s == 3600'
check "the settings are all there" \
    holds '.settings | .lookback == 48 and .horizon == 24 and .seed == 3 and .epochs == 2'
check "each candidate has a row for the whole horizon" holds \
    '[.results[] | select(.bucket == "all") | .candidate]
     | contains(["naive", "seasonal_naive", "frwkv", "champion"])'
check "rows have every column" holds \
    '.results | all(has("candidate") and .horizon == 24 and has("bucket") and (.mse | type == "number")
     and (.mae | type == "number") and has("mase") and has("wql") and has("coverage80")
     and has("seconds") and has("params"))'
check "the network has parameters, naive has none" holds \
    '.results | (map(select(.candidate == "frwkv"))[0].params > 0)
     and (map(select(.candidate == "naive"))[0].params == 0)'
check "each series and bucket has a champion" holds \
    '(.champion | length == 8) and (.champion | all(has("series") and has("bucket")
     and has("candidate") and has("skill")))'
check "and how often its band held" holds '.champion | all(.coverage80 > 0.3 and .coverage80 <= 1)'
check "the history has every epoch" holds \
    '(.history | length == 2) and (.history[1] | .epoch == 2 and (.loss_train | type == "number")
     and (.loss_valid | type == "number"))'

figures='[.results[] | del(.seconds)], [.champion[]], [.history[] | del(.seconds)]'
first=$(printf '%s' "$body" | jq -cS "$figures")
run backtest --csv "$tmp/wave.csv" --lookback 48 --horizon 24 --seed 3 --threads 1
check "one thread gives the same figures" [ "$(printf '%s' "$body" | jq -cS "$figures")" = "$first" ]
run backtest --csv "$tmp/wave.csv" --lookback 48 --horizon 24 --seed 4
check "another seed gives others" [ "$(printf '%s' "$body" | jq -cS "$figures")" != "$first" ]

# In the terminal, too: by how much the seasonal naive was beaten, and how often the band held.
"$frwkvd" backtest --csv "$tmp/wave.csv" --lookback 48 --horizon 24 --model naive,seasonal_naive,profile \
    >"$tmp/out" 2>/dev/null
check "the table tells each champion's skill" \
    grep -qE '^  load\{host="h1"\}( +(profile|seasonal_naive) +-?[0-9]+ % +[0-9.]+ %){4}$' "$tmp/out"

run backtest --csv "$tmp/wave.csv" --lookback 48 --horizon 24 --model naive,seasonal_naive
check "candidates can be chosen" holds \
    '[.results[].candidate] | unique == ["champion", "naive", "seasonal_naive"]'
run backtest --csv "$tmp/wave.csv" --model magic
check "an unknown candidate is refused by name" sh -c "[ $status != 0 ] && grep -q magic '$tmp/err'"
run backtest --csv "$tmp/wave.csv" --lookback 48 --horizon 24 --group joint --split last:100
check "joint, with the last rows as test" [ $status = 0 ]

# The same values in the other two forms.
awk -F, 'NR > 1 { print "a," $1 "," $2; print "b," $1 "," $3 } BEGIN { print "series,time,value" }' \
    "$tmp/wave.csv" >"$tmp/long.csv"
run backtest --csv "$tmp/long.csv" --format long --lookback 48 --horizon 24 --seed 3
check "a long file gives the figures of the wide one" [ \
    "$(printf '%s' "$body" | jq -cS '[.results[] | del(.seconds)]')" = \
    "$(printf '%s\n' "$first" | head -n 1)" ]
awk -F, 'NR > 1 { a = a "," $2; b = b "," $3 } END { print "a" a; print "b" b }' \
    "$tmp/wave.csv" >"$tmp/rows.csv"
run backtest --csv "$tmp/rows.csv" --format rows --lookback 48 --horizon 24 --seed 3
check "a file of rows is read" holds '.data.rows == 600 and .data.series == 2'

run forecast --csv "$tmp/wave.csv" --lookback 48 --horizon 24
check "forecast --csv ends well" [ $status = 0 ]
check "each series has its points" holds \
    '(.forecast | length == 2) and (.forecast | all((.points | length == 24)
     and (.points | all(.q10 <= .q50 and .q50 <= .q90))))'
check "they begin where the file ends" holds \
    '(.forecast[0].points[0].time | fromdate) == ((.data.last | fromdate) + 3600)'

# Days begin at midnight of the zone; one of them has 25 hours.
seq 0 235 | awk '{ print 10 + $1 % 7 }' >"$tmp/values"
seq 0 235 | sed 's/.*/2026-03-01 & days/' | date -u -f - +%F | paste -d, - "$tmp/values" |
    sed '1i time,y' >"$tmp/days.csv"
"$frwkvd" forecast --csv "$tmp/days.csv" --zone Europe/Berlin --lookback 28 --horizon 7 --set epochs=1 \
    >"$tmp/out" 2>/dev/null
check "days are those of the zone, over a change of the clocks" \
    grep -qxE ' +local +23 Oct +25 Oct +27 Oct +29 Oct' "$tmp/out"

printf 'time,a\n2026-01-01,1\n2026-01-02,x\n' >"$tmp/bad.csv"
run backtest --csv "$tmp/bad.csv"
check "a bad line is reported by number" sh -c "[ $status = 1 ] && grep -q 'line 3' '$tmp/err'"

# What softmax has learnt, and how close it is to a linear form.
run diagnose --csv "$tmp/wave.csv" --lookback 48 --horizon 24 --set axis=patch --set patch=1 \
    --output "$tmp/diagnosis.json"
check "a diagnosis has a row for each head" holds \
    '.settings.mixer == "softmax" and (.convertible | type == "boolean") and .loss_inline > 0
     and (.heads | length == 8 and all(.tokens[-1] == 48 and (.gap | length) == (.tokens | length)
     and (.control | length) == (.tokens | length) and has("slope") and has("k3")
     and .key_rank > 0))'
check "it is kept where asked for" sh -c "jq -S . '$tmp/diagnosis.json' >'$tmp/a' && jq -S . '$tmp/out' | cmp -s - '$tmp/a'"
"$frwkvd" diagnose --csv "$tmp/wave.csv" --lookback 48 --horizon 24 --set axis=patch --set patch=1 $small \
    >"$tmp/out" 2>/dev/null
body=$(cat "$tmp/out")
check "in the terminal it is a plot and a table" \
    sh -c "grep -q 'Gaussian control' '$tmp/out' && grep -q '^  imag .* of 48' '$tmp/out'"
run diagnose --csv "$tmp/wave.csv" --lookback 48 --horizon 24 --mixer linear
check "only softmax can be diagnosed" sh -c "[ $status = 1 ] && grep -q 'mixer: must be softmax' '$tmp/err'"

# A result that a full disk does not take is no success, and what led to it is kept.
for command in backtest forecast; do
    status=0
    # shellcheck disable=SC2086
    "$frwkvd" $command --csv "$tmp/wave.csv" --lookback 48 --horizon 24 $small --json \
        --checkpoint "$tmp/$command.ck" >/dev/full 2>"$tmp/err" || status=$?
    check "$command: a result that cannot be written is a failure" \
        sh -c "[ $status = 1 ] && grep -q 'standard output: cannot be written: No space' '$tmp/err'"
    check "$command: its checkpoint is kept" [ -s "$tmp/$command.ck" ]
done
cp "$tmp/wave.csv" "$tmp/mine.csv"
run backtest --csv "$tmp/wave.csv" --lookback 48 --horizon 24 --checkpoint "$tmp/mine.csv"
check "no other file is taken for a checkpoint" \
    sh -c "[ $status = 2 ] && grep -q 'checkpoint: must name.*mine.csv' '$tmp/err'"
check "nor removed" cmp -s "$tmp/wave.csv" "$tmp/mine.csv"
run backtest --csv "$tmp/wave.csv" --lookback 48 --horizon 24 --checkpoint "$tmp/backtest.ck"
check "one is gone on from, and removed at the end" \
    sh -c "[ $status = 0 ] && grep -q 'going on' '$tmp/err' && [ ! -e '$tmp/backtest.ck' ]"
status=0
"$frwkvd" version >/dev/full 2>"$tmp/err" || status=$?
check "so it is for every command" [ $status = 1 ]
done_testing
