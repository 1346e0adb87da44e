#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is known in advance: the calendar and a file of covariates in `backtest` and `forecast`.
. "$(dirname "$0")/lib.sh"

# driven ROWS -- hourly `up`, `down` and `calm` with a planned load that moves the first
# two, and days off that empty the mornings of `up`; the load and the days off go to $1.
driven() {
    awk -v rows="$1" -v known="$2" 'BEGIN {
        srand(7)
        print "time,up,down,calm"
        print "time,load,day_off" >known
        for (i = 0; i < rows; i++) {
            if (i % 6 == 0) load = rand() < 0.25 ? 1 + rand() : 0
            if (i % 24 == 0) off = rand() < 0.15
            h = i % 24
            day = h >= 6 && h < 18 ? 2 * sin((h - 6) * 3.14159 / 12) : 0
            t = 1767225600 + i * 3600
            printf "%d,%.4f,%.4f,%.4f\n", t, 10 + day + 3 * load - (off ? day : 0) + 0.2 * rand(),
                20 + day - 2 * load + 0.2 * rand(), 5 + day + 0.2 * rand()
            printf "%d,%.4f,%d\n", t, load, off >known
        }
    }'
}

# run ARGUMENT... -- $status and $body.
run() {
    status=0
    "$frwkvd" backtest --horizon 24 --lookback 96 --model seasonal_naive,profile,in_context \
        --json "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
    body=$(cat "$tmp/out")
}

holds() {
    printf '%s' "$body" | jq -e "$1" >/dev/null
}

# mae CANDIDATE
mae() {
    printf '%s' "$body" |
        jq ".results[] | select(.candidate == \"$1\" and .bucket == \"all\") | .mae"
}

# below A B SHARE -- whether A < SHARE B.
below() {
    awk -v a="$1" -v b="$2" -v share="$3" 'BEGIN { exit !(a < share * b) }'
}

driven 1440 "$tmp/known.csv" >"$tmp/fleet.csv"
run --csv "$tmp/fleet.csv"
without=$(mae in_context) naive=$(mae seasonal_naive)
check "without covariates none is reported" holds '.covariates == []'
run --csv "$tmp/fleet.csv" --covariates "$tmp/known.csv"
check "covariates halve the error" below "$(mae in_context)" "$without" 0.5
check "the seasonal naive is what it was" [ "$(mae seasonal_naive)" = "$naive" ]
check "the load helps the two it moves, the days off one" holds \
    '[.covariates[] | [.name, .known, .series]] == [["load", 1, 2], ["day_off", 1, 1]]'
run --csv "$tmp/fleet.csv" --calendar hour,weekday
check "a calendar that says nothing changes nothing" [ "$(mae in_context)" = "$without" ]

run --csv "$tmp/fleet.csv" --calendar month
check "an unknown part of the calendar is refused" \
    sh -c "[ $status != 0 ] && grep -q 'hour, weekday.*\"month\"' '$tmp/err'"
run --csv "$tmp/fleet.csv" --covariates "$tmp/absent.csv"
check "a file that is not there is named" \
    sh -c "[ $status != 0 ] && grep -q 'absent.csv' '$tmp/err'"

# A load that ends with the data says nothing of tomorrow.
status=0
"$frwkvd" forecast --csv "$tmp/fleet.csv" --covariates "$tmp/known.csv" --horizon 24 \
    --lookback 96 --set epochs=1 --set steps_per_epoch=5 --json >"$tmp/out" 2>"$tmp/err" || status=$?
body=$(cat "$tmp/out")
check "a series whose covariate is not known is not forecast" holds \
    '[.forecast[] | select(.why) | .why] | length == 2
     and all(. == "covariate load is not known for step 1 of 24")'
check "one that does without it is" holds '[.forecast[] | select(.points)] | length == 1'
"$frwkvd" forecast --csv "$tmp/fleet.csv" --covariates "$tmp/known.csv" --horizon 24 --missing zero \
    --lookback 96 --set epochs=1 --set steps_per_epoch=5 --json >"$tmp/out" 2>"$tmp/err" || status=$?
body=$(cat "$tmp/out")
check "with a policy for it all are" holds '[.forecast[] | select(.points)] | length == 3'

done_testing
