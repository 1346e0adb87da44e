#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bad input gets a problem document that names field, value and rule, and changes nothing.
. "$(dirname "$0")/lib.sh"

configure
sed -i 's/^listen = .*/&\nmax_columns = 5\nmax_body = 64K/' "$conf"
start
wave 30 1 >"$tmp/wave.csv"
request POST "/v1/import?history=true" --data-binary @"$tmp/wave.csv" -H 'Content-Type: text/csv'
put /v1/forecasters/good '{"select": "load", "step": "1h"}'

# everything -- what the requests below must not change.
everything() {
    for path in /v1/series /v1/forecasters /v1/jobs; do
        curl -fsS "$url$path"
    done
}
everything >"$tmp/before"

# refused STATUS FIELD TEXT METHOD PATH [BODY] -- FIELD and TEXT as for problem().
refused() {
    want=$1 field=$2 text=$3 method=$4 path=$5
    shift 5
    if [ $# -gt 0 ]; then
        request "$method" "$path" --json "$1"
    else
        request "$method" "$path"
    fi
    check "$method $path ${1-} $text" problem "$want" "$field" "$text"
}

# csv TEXT... -- the same for an import of these lines.
csv() {
    want=$1 text=$2 query=$3
    shift 3
    printf '%s\n' "$@" >"$tmp/bad.csv"
    request POST "/v1/import$query" -H 'Content-Type: text/csv' --data-binary @"$tmp/bad.csv"
    check "import$query $*" problem "$want" "" "$text"
}

soon=$(instant 1200)
past=$(instant -3600)
s='"series": "a"' t="\"time\": \"$past\"" v='"value": 1'

refused 400 "" "" POST /v1/samples ''
refused 400 "" "" POST /v1/samples 'nonsense'
refused 400 "samples" "missing" POST /v1/samples '{}'
refused 400 "samples" "at least one" POST /v1/samples '{"samples": []}'
refused 400 "extra" "" POST /v1/samples "{\"extra\": 1, \"samples\": [{$s, $t, $v}]}"
refused 400 "samples[0].unit" "" POST /v1/samples "{\"samples\": [{$s, $t, $v, \"unit\": 1}]}"
refused 400 "samples[1].value" "missing" POST /v1/samples "{\"samples\": [{$s, $t, $v}, {$s, $t}]}"
refused 400 "samples[0].value" "NaN" POST /v1/samples "{\"samples\": [{$s, $t, \"value\": \"NaN\"}]}"
refused 400 "" "" POST /v1/samples "{\"samples\": [{$s, $t, \"value\": NaN}]}"
refused 400 "samples[0].value" "number" POST /v1/samples "{\"samples\": [{$s, $t, \"value\": true}]}"
refused 400 "samples[0].time" "RFC 3339" POST /v1/samples "{\"samples\": [{$s, \"time\": \"soon\", $v}]}"
refused 400 "samples[0].time" "$soon" POST /v1/samples "{\"samples\": [{$s, \"time\": \"$soon\", $v}]}"
refused 400 "samples[0].series" "" POST /v1/samples "{\"samples\": [{\"series\": \"a{\", $t, $v}]}"
refused 400 "samples[1].value" "agree" POST /v1/samples \
    "{\"samples\": [{$s, $t, $v}, {$s, $t, \"value\": 2}]}"
awk 'BEGIN { printf "{\"samples\": [\""; for (i = 0; i < 80000; i++) printf "x"; print "\"]}" }' >"$tmp/big"
request POST /v1/samples --json @"$tmp/big"
check "a body past max_body" problem 413 "" "65536"

csv 400 "line 3" "" "time,a" "2026-01-01,1" "2026-01-02,x"
csv 400 "line 2" "" "time,a" "someday,1"
csv 400 "line 3" "" "time,a" "2026-01-01,1" "2026-01-02,1,2"
csv 413 "must be at most 5, got 7" "" "time,a,b,c,d,e,f" "2026-01-01,1,2,3,4,5,6"
csv 400 "line 2" "" "time,a" "$soon,1"
csv 400 "" "" ""
csv 400 "zone" "?zone=Mars/Olympus" "time,a" "2026-01-01,1"
refused 400 "zone: must be" "Mars/Olympus" POST "/v1/import?zone=Mars/Olympus" "time,a"
csv 400 "format" "?format=tall" "time,a" "2026-01-01,1"
csv 400 "colour" "?colour=red" "time,a" "2026-01-01,1"

refused 400 "select" "missing" PUT /v1/forecasters/x '{"step": "1h"}'
refused 400 "step" "missing" PUT /v1/forecasters/x '{"select": "load"}'
refused 400 "step" "" PUT /v1/forecasters/x '{"select": "load", "step": "0h"}'
refused 400 "step" "" PUT /v1/forecasters/x '{"select": "load", "step": 3600}'
refused 400 "select" "" PUT /v1/forecasters/x '{"select": "load{", "step": "1h"}'
refused 400 "horizon" "1..2048" PUT /v1/forecasters/x '{"select": "load", "step": "1h", "horizon": 0}'
refused 400 "horizon" "got 2049" PUT /v1/forecasters/x '{"select": "load", "step": "1h", "horizon": 2049}'
refused 400 "quantiles" "" PUT /v1/forecasters/x '{"select": "load", "step": "1h", "quantiles": [0.9, 0.1]}'
refused 400 "min" "below max" PUT /v1/forecasters/x '{"select": "load", "step": "1h", "min": 2, "max": 1}'
refused 400 "settings.epochs" "" PUT /v1/forecasters/x '{"select": "load", "step": "1h", "settings": {"epochs": 0}}'
refused 400 "settings.heads" "divide the width 64, got 5" PUT /v1/forecasters/x \
    '{"select": "load", "step": "1h", "settings": {"heads": 5}}'
refused 400 "colour" "" PUT /v1/forecasters/x '{"select": "load", "step": "1h", "colour": "red"}'
refused 400 "name" "" PUT /v1/forecasters/-x '{"select": "load", "step": "1h"}'

refused 404 "" "nobody" GET /v1/forecasters/nobody
refused 404 "" "nobody" DELETE /v1/forecasters/nobody
refused 404 "" "nobody" POST /v1/forecasters/nobody/train
refused 404 "" "nobody" GET /v1/forecasters/nobody/forecast
refused 400 "horizon" "" GET "/v1/forecasters/good/forecast?horizon=0"
refused 400 "horizon" "" GET "/v1/forecasters/good/forecast?horizon=99999"
refused 400 "quantiles" "" GET "/v1/forecasters/good/forecast?quantiles=2"
refused 400 "format" "" GET "/v1/forecasters/good/forecast?format=xml"
refused 409 "" "train" GET /v1/forecasters/good/forecast
refused 409 "" "train" POST /v1/forecasters/good/issue
refused 409 "history" "got 30" POST /v1/forecasters/good/train
check "too little history: what there is, is needed, and when" sh -c \
    "printf %s '$(printf %s "$body" | tr -d "'")' | jq -e '.there == 30 and .needed > 30 and (.ready | type == \"string\")'"
refused 404 "" "" GET /v1/jobs/99
refused 404 "" "" DELETE /v1/jobs/99
refused 404 "" "" GET "/v1/samples?series=nothing"
refused 400 "series" "" GET /v1/samples
refused 404 "" "/v1/nothing" GET /v1/nothing
refused 405 "method" "" PATCH /v1/samples

everything >"$tmp/after"
check "nothing has changed" cmp "$tmp/before" "$tmp/after"
stop
check "the daemon ends well" [ "$stopped" = 0 ]
done_testing
