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
run --csv "$tmp/fleet.csv" --calendar none
without=$(mae in_context) naive=$(mae seasonal_naive)
check "without covariates none is reported" holds '.covariates == []'
run --csv "$tmp/fleet.csv" --calendar none --covariates "$tmp/known.csv"
check "covariates halve the error" below "$(mae in_context)" "$without" 0.5
check "the seasonal naive is what it was" [ "$(mae seasonal_naive)" = "$naive" ]
check "the load helps the two it moves, the days off one" holds \
    '[.covariates[] | [.name, .known, .series]] == [["load", 1, 2], ["day_off", 1, 1]]'
run --csv "$tmp/fleet.csv"
check "the calendar is looked at" is '[.covariates[].name] | join(" ")' "calendar.hour calendar.weekday"
run --csv "$tmp/fleet.csv" --calendar none --covariates "$tmp/known.csv" --season 1500 --model seasonal_naive
check "of a season longer than the data nothing can be judged" is '.covariates[0] | "\(.known) \(.series)"' "null 0"
"$frwkvd" backtest --csv "$tmp/fleet.csv" --calendar none --covariates "$tmp/known.csv" --season 1500 \
    --lookback 96 --horizon 24 --model seasonal_naive >"$tmp/out" 2>&1
body=$(cat "$tmp/out")
check "it says so" grep -q 'covariate load: not used: no step of the past lies a season of 1500 steps after another' "$tmp/out"
check "what is not known is a dash" sh -c "! grep -q nan '$tmp/out'"
run --csv "$tmp/fleet.csv"
check "a calendar that says nothing changes nothing" [ "$(mae in_context)" = "$without" ]

run --csv "$tmp/fleet.csv" --calendar month
check "an unknown part of the calendar is refused" \
    sh -c "[ $status != 0 ] && grep -q 'hour, weekday.*\"month\"' '$tmp/err'"
run --csv "$tmp/fleet.csv" --holidays Utopia
check "so is a country without rules" \
    sh -c "[ $status != 0 ] && grep -q 'AT, BE.*\"Utopia\"' '$tmp/err'"
run --csv "$tmp/fleet.csv" --holidays DE --zone Europe/Berlin --calendar none
check "holidays are a covariate" is '.covariates[0] | "\(.name) \(.series)"' "calendar.holiday 0"
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

# ---- in a daemon ---------------------------------------------------------------------

configure '[train]\nthreads = 2\n'
start

# said FROM TO -- the statement of known.csv's load from one row to another, as JSON.
said() {
    awk -F, -v from="$1" -v to="$2" 'NR - 2 >= from && NR - 2 < to {
        if (!start) { start = $1; printf "{\"from\": %d000, \"known\": \"always\", \"step\": \"1h\", \"values\": [", $1 }
        else printf ", "
        printf "%s", $2
    } END { print "]}" }' "$tmp/known.csv"
}

check "the history is taken" "$frwkvd" import -c "$conf" "$tmp/fleet.csv"
said 0 1440 >"$tmp/past.json"
put /v1/covariates/load "@$tmp/past.json"
check "a covariate is put" [ "$status" = 200 ]
check "with all its values" is .values 1440
put /v1/covariates/load "@$tmp/past.json"
check "said twice it is stored once" is .stored false
get /v1/covariates
check "it is listed" is '.covariates[0] | "\(.name) \(.statements) \(.from) \(.to)"' \
    "load 1 2026-01-01T00:00:00Z 2026-03-02T00:00:00Z"
get '/v1/covariates/load?from=2026-03-01T00:00:00Z&to=2026-03-01T01:00:00Z'
check "what was said can be read" is '.statements[0] | "\(.known) \(.values | length)"' "always 1440"

put /v1/covariates/load '{"from": "2026-03-02", "to": "2026-03-01"}'
check "a bad range is refused" problem 400 to "must be after from"
put /v1/covariates/load '{"from": "2026-03-02", "step": "1h", "values": [1, "x"]}'
check "a bad value is refused by its place" problem 400 'values[1]' 'must be a number or null'
put /v1/covariates/load '{"from": "2026-03-02", "to": "2026-03-03", "known": "2199-01-01T00:00:00Z"}'
check "nothing is known later than now" problem 400 known "must not be after now"
put /v1/covariates/calendar.x '{"from": "2026-03-02", "to": "2026-03-03"}'
check "the calendar's names are its own" problem 400 name 'not with "calendar."'

put /v1/forecasters/fleet '{"select": "{__name__=~\"up|down|calm\"}", "step": "1h",
    "lookback": 96, "horizon": 24, "covariates": ["load"], "zone": "Europe/Berlin",
    "settings": {"epochs": 1, "steps_per_epoch": 5}}'
check "a forecaster takes it" is '.covariates[0]' load
check "and the calendar, where nothing is said" is '.calendar | join(" ")' "hour weekday"
put /v1/forecasters/bad '{"select": "up", "step": "1h", "zone": "Mars/Olympus"}'
check "an unknown zone is refused" problem 400 zone "tz database"
put /v1/forecasters/bad '{"select": "up", "step": "1h", "covariates": ["load", "load"]}'
check "no covariate stands twice" problem 400 'covariates[1]' "twice"
put /v1/forecasters/bad '{"select": "up", "step": "1h", "holidays": "Utopia"}'
check "a country without rules is refused" problem 400 holidays "null or one of AT"
put /v1/forecasters/bad '{"select": "up", "step": "1h", "calendar": ["month"]}'
check "an unknown part of the calendar too" problem 400 'calendar[0]' "hour, weekday"
put /v1/forecasters/bad '{"select": "up", "step": "1h", "covariates_missing": "guess"}'
check "an unknown policy is refused" problem 400 covariates_missing "error, hold, zero"
request DELETE /v1/covariates/load
check "what is used is not deleted" problem 409 '' "forecaster fleet uses it"

check "it trains" "$frwkvd" train -c "$conf" fleet
get /v1/forecasters/fleet/models
check "its model tells whom a covariate helps" is \
    '[.. | objects | select(.name? == "load") | "\(.known == 1) \(.series)"] | join(" ")' "true 2"
get /v1/forecasters/fleet/forecast
check "the two that rest on the load wait for it" is \
    '[.forecasts[] | select(.served | not) | .why] | unique | join(";")' \
    "covariate load is not known for step 1 of 24"
check "the third does not" is '[.forecasts[] | select(.served)] | map(.series) | join(";")' calm

put /v1/forecasters/pair '{"select": "{__name__=~\"up|down\"}", "step": "1h", "lookback": 96,
    "horizon": 24, "covariates": ["load"], "zone": "Europe/Berlin",
    "settings": {"epochs": 1, "steps_per_epoch": 5}}'
check "where nobody can be forecast, training is done all the same" \
    sh -c "'$frwkvd' train -c '$conf' pair >'$tmp/out'"
check "and tells why nothing was issued" grep -q \
    'published, but no forecast was issued: no series can be forecast now: covariate load is not known' "$tmp/out"
get '/v1/jobs?limit=1'
check "the job says both" is '.jobs[0] | "\(.state) \(.result.serves) \(.error | contains("is not known"))"' "done true true"
request DELETE /v1/forecasters/pair
put /v1/covariates/load '{"from": "2026-03-02", "to": "2026-03-03", "otherwise": 0}'
get /v1/forecasters/fleet/forecast
check "what is known now is forecast" is '[.forecasts[] | select(.served)] | length' 3
check "and says what it rests on" is '[.forecasts[] | .covariates | join(",")] | sort | join(";")' \
    ";load;load"
check "nothing is supposed" is '.supposed | length' 0
usual=$(value '.forecasts[] | select(.series == "up") | .values["0.5"] | add')

post /v1/forecast '{"forecaster": "fleet",
    "covariates": {"load": {"from": "2026-03-02", "to": "2026-03-03", "otherwise": 2}}}'
check "what if the load were 2: the answer says so" is '.supposed | join(" ")' load
check "three times that, over a day" awk -v a="$usual" \
    -v b="$(value '.forecasts[] | select(.series == "up") | .values["0.5"] | add')" \
    'BEGIN { exit !(b - a > 24 * 5.8 && b - a < 24 * 6.2) }'
get /v1/forecasters/fleet/forecast
check "and nothing has changed" \
    [ "$(value '.forecasts[] | select(.series == "up") | .values["0.5"] | add')" = "$usual" ]
post /v1/forecast '{"forecaster": "fleet", "covariates": {"lode": {"from": 0, "to": 1}}}'
check "only what it uses can be supposed" problem 400 covariates.lode "one of the forecaster's"
post /v1/forecast '{"forecaster": "fleet", "covariates": {"load": {"from": "2026-03-02", "step": "1h", "values": [1, 1e300]}}}'
check "nor what no plan says" problem 400 'covariates.load.values[1]' "within -1e+100 and 1e+100"
post /v1/forecast '{"forecaster": "fleet", "covariates": {"load": {"from": "2026-03-02", "to": "2026-03-03", "otherwise": 1e50}}}'
check "what leads past all numbers is refused to those it moves" is \
    '[.forecasts[] | select(.served | not) | .why] | unique | join(";")' "the forecast is not a finite number"
check "and to nobody else" is '[.forecasts[] | select(.served)] | map(.series) | join(";")' calm
post /v1/forecast '{"forecaster": "fleet", "covariates": {"load": {"from": "2026-03-02T06:00:00Z", "step": "1h", "values": [1, null]}}}'
check "what is supposed not to be known is not" is \
    '[.forecasts[] | select(.served | not) | .why] | unique | join(";")' "covariate load is not known for step 8 of 24"

check "the next training is tried against this one" "$frwkvd" train -c "$conf" fleet
get '/v1/jobs?limit=1'
check "with the covariates of the time" is '.jobs[0].result.trial.values > 0' true
check "its result tells what each is good for" is \
    '[.jobs[0].result.covariates[] | select(.series > 0) | .name] | join(" ")' load
post /v1/forecasters/fleet/backtest '{}'
job=$(value .id)
get "/v1/jobs/$job"
wait_for 60 sh -c "curl -fs '$url/v1/jobs/$job' | grep -q '\"state\":\"done\"'"
get "/v1/jobs/$job"
check "so does a backtest" is \
    '[.result.covariates[] | select(.series > 0) | "\(.name) \(.series)"] | join(" ")' "load 2"

# ---- values in the request -----------------------------------------------------------

# values COLUMN -- a column of fleet.csv as a list.
values() {
    awk -F, -v column="$1" 'NR > 1 { printf "%s%s", (NR == 2 ? "[" : ", "), $column } END { print "]" }' \
        "$tmp/fleet.csv"
}

printf '{"step": "1h", "start": 1767225600000, "horizon": 24, "series": {"up": %s, "calm": %s},
    "covariates": {"load": %s}}' "$(values 2)" "$(values 4)" \
    "$(said 0 1440 | jq -c '.values += [range(24) | 2] | del(.known)')" >"$tmp/values.json"
post /v1/forecast "@$tmp/values.json"
check "values in, forecast out" is '[.forecasts[] | select(.served)] | length' 2
check "by nobody's model" is '"\(.forecaster) \(.model) \(.issue)"' "null null null"
check "their times follow the values" is '.times | "\(.[0]) \(length)"' "2026-03-02T00:00:00Z 24"
check "the load is used where it counts" is '[.forecasts[] | .covariates | join(",")] | join(";")' "load;"
busy=$(value '.forecasts[0].values["0.5"] | add')
check "a candidate without training serves" is \
    '[.forecasts[].candidates[].candidate] | any(. == "frwkv")' false
jq -c 'del(.covariates)' "$tmp/values.json" >"$tmp/plain.json"
post /v1/forecast "@$tmp/plain.json"
check "without the load less comes" below "$(value '.forecasts[0].values["0.5"] | add')" "$busy" 0.8
jq -c '{forecaster: "fleet", start, series} | .series.up = .series.up[:200] | .series.calm = .series.calm[:200]
    | .horizon = 12 | .quantiles = [0.25, 0.5]' "$tmp/values.json" >"$tmp/named.json"
post /v1/forecast "@$tmp/named.json"
check "a forecaster's model takes values too" is '.forecasts[1] | "\(.served) \(.values | keys | join(" "))"' \
    "true 0.25 0.5"
check "the horizon is what was asked" is '.times | length' 12

post /v1/forecast '{"step": "1h", "start": 0, "series": {"a": [1, 2, null, 4, 5]}, "horizon": 1}'
check "a gap is all that is missing" is '.forecasts[0] | "\(.served) \(.missing * 100 | round)"' "true 20"
post /v1/forecast '{"step": "1h", "start": 0, "horizon": 1, "series": {
    "huge": [1e300, 2e300, 1e300, 2e300, 1e300, 2e300], "calm": [1, 2, 1, 2, 1, 2]}}'
check "what is past a float is refused, and nothing else" is \
    '.forecasts | map("\(.series) \(.served) \(.why) \(.values["0.5"][0] == null)") | sort | join("; ")' \
    "calm true null false; huge false the forecast is past what can be kept of it, 3.4e+38 true"
post /v1/forecast '{"step": "1h", "start": 0, "series": {"a": [1, 2, 3]}, "horizon": 24}'
check "too few values are refused" problem 400 series "at least 72 values"
post /v1/forecast '{"step": "1h", "start": 0, "series": {"a": [1, 2], "b": [1]}, "horizon": 1}'
check "lists of different lengths are refused" problem 400 series.b "as many values"
post /v1/forecast '{"step": "1h", "series": {"a": [1, 2, 3]}, "horizon": 1}'
check "values without a time are refused" problem 400 start "missing"
post /v1/forecast '{"horizon": 1}'
check "nothing to go by is refused" problem 400 step "missing"
post /v1/forecast '{"forecaster": "fleet", "start": 0}'
check "a start without values is refused" problem 400 start "goes with series"
post /v1/forecast '{"forecaster": "nobody"}'
check "an unknown forecaster is not found" [ "$status" = 404 ]
get /v1/series
check "nothing was stored" is '.series | length' 3

request DELETE /v1/forecasters/fleet
request DELETE /v1/covariates/load
check "what nobody uses is deleted" [ "$status" = 204 ]
get /v1/covariates/load
check "and gone" [ "$status" = 404 ]
stop

done_testing
