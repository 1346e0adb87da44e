#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The programs that read metrics, as Debian ships them, against the daemon: Prometheus with
# remote_read, its rules and its scrape, promtool, vmalert; and the dashboards' queries.
# What the README and etc/ show of them is what runs here.
. "$(dirname "$0")/../e2e/lib.sh"

for program in prometheus promtool vmalert; do
    command -v $program >/dev/null || { echo "skip all needs $program"; exit 77; }
done

readers=
finish_readers() {
    code=$?
    for reader in $readers; do kill -9 "$reader" 2>/dev/null; done
    (exit $code) # not that of kill, for which they may have ended
    finish
}
trap finish_readers EXIT

# run LOG PROGRAM... -- in the background; its id is $reader.
run() {
    log=$1
    shift
    "$@" >"$tmp/$log.log" 2>&1 &
    reader=$!
    readers="$readers $reader"
}
ended() {
    kill "$2" 2>/dev/null
    wait "$2" 2>/dev/null
    check "$1: the accounting closes" accounts_close
}

# snippet NAME -- the indented block that follows the line of the README that begins with
# **NAME**.
snippet() {
    awk -v name="**$1**" 'index($0, name) == 1 { found = 1; next }
        found && /^    / { print substr($0, 5); shown = 1; next }
        shown && NF { exit }' README.md
}
# ours -- what was written for the usual ports and times, for this daemon and this moment.
ours() {
    sed "s/127\.0\.0\.1:9797/127.0.0.1:$port/g; s/127\.0\.0\.1:9090/127.0.0.1:$pport/g; s/: 15s$/: 1s/"
}

# ---- something to read: a day's rhythm, and two forecasters over it ------------------------

configure
start
pport=$(free_port)
wave 400 2 | sed 's/host=/site=""lab"",host=/g' >"$tmp/wave.csv"
"$frwkvd" import -c "$conf" "$tmp/wave.csv" >/dev/null 2>&1
for name in web other; do
    put /v1/forecasters/$name '{"select": "load", "step": "1h", "lookback": 48, "horizon": 50,
        "settings": {"epochs": 1, "steps_per_epoch": 5}}'
    request POST /v1/forecasters/$name/train
    job=$(value .id)
    check "$name: a training ends, and issues a forecast" wait_for 180 job_ended "$job"
done
# The next full minute, by which both have been issued.
now=$((($(date +%s) / 60 + 1) * 60))
until=$((now + 172800))

# ---- Prometheus ----------------------------------------------------------------------------

# ask PATH PARAMETER... -- of Prometheus; $body, $status.
ask() {
    path=$1
    shift
    for parameter in "$@"; do set -- "$@" --data-urlencode "$parameter"; shift; done
    status=$(curl -s -o "$tmp/body" -w '%{http_code}' "http://127.0.0.1:$pport/api/v1/$path" "$@") || :
    body=$(cat "$tmp/body")
}
# count EXPRESSION -- of the last answer.
count() { value "$1"; }

cp etc/prometheus/rules.yml "$tmp/rules.yml"
ours <etc/prometheus/prometheus.yml >"$tmp/prometheus.yml"
sed -i 's/^global:/&\n  external_labels: {site: lab}/' "$tmp/prometheus.yml"
# The rule's threshold must be within reach of this wave, 28 to 72.
sed -i 's/offset -6h > 90/offset -6h > 20/' "$tmp/rules.yml"
check "etc/prometheus: promtool has nothing to say" promtool check config "$tmp/prometheus.yml"
snippet "Prometheus with remote_read" >"$tmp/snippet"
check "README: so are its lines" sh -c "
    grep -q 'url: http://127.0.0.1:9797/api/v1/read' '$tmp/snippet' &&
    grep -q 'read_recent: true' '$tmp/snippet' && grep -q 'required_matchers: {forecaster: web}' '$tmp/snippet'"

run prometheus prometheus --config.file="$tmp/prometheus.yml" --storage.tsdb.path="$tmp/tsdb" \
    --web.listen-address=127.0.0.1:"$pport"
prometheus=$reader
up() { curl -fsS -o /dev/null "http://127.0.0.1:$pport/-/ready"; }
check "prometheus: starts" wait_for 60 up

predicted='load:predicted{forecaster="web",ml_forecast="yhat"}'
ask query_range "query=$predicted" "start=$now" "end=$until" step=60
check "prometheus: a range two days ahead at a minute's step has no hole" \
    [ "$(count '[.data.result[].values | length] | unique | join(" ")')" = 2881 ]
check "prometheus: of both series" [ "$(count '.data.result | length')" = 2 ]
check "prometheus: without the external label, which it strips" \
    [ "$(count '[.data.result[].metric | keys | join(",")] | unique | join(" ")')" = "__name__,forecaster,host,ml_forecast" ]

# What it shows is what was issued: each whole hour one value of the ledger.
get '/v1/forecasters/web/forecast?as_of=2999-01-01T00:00:00Z&format=rows&series=load%7Bhost%3D%22h1%22%2Csite%3D%22lab%22%7D'
printf '%s' "$body" | jq -r '.[] | "\(.time | fromdate) \(."q0.5" * 1000 | round)"' >"$tmp/issued"
first=$(awk 'NR == 2 { print $1 }' "$tmp/issued") last=$(awk 'END { print $1 }' "$tmp/issued")
ask query_range 'query=load:predicted{forecaster="web",ml_forecast="yhat",host="h1"}' "start=$first" "end=$last" step=3600
value '.data.result[0].values[] | "\(.[0]) \(.[1] | tonumber * 1000 | round)"' >"$tmp/shown"
sed -i 1d "$tmp/issued"
body=$(diff "$tmp/issued" "$tmp/shown" | head -5)
check "prometheus: each hour shows what was issued for it" [ -s "$tmp/shown" -a -z "$body" ]

# At any second of them.
misses=0
for i in $(seq 40); do
    at=$((now + 120 + $(od -An -N3 -tu4 /dev/urandom) % 172000))
    ask query "query=$predicted" "time=$at"
    [ "$(count '.data.result | length')" = 2 ] || misses="$misses $at"
done
check "prometheus: an instant at any second hits" [ "$misses" = 0 ]
ask query "query=$predicted" "time=$((until + 864000))"
check "prometheus: and nothing is made up behind the horizon" [ "$(count '.data.result | length')" = 0 ]

ask query 'query=max by (host) (predict_linear(load:predicted{forecaster="web",ml_forecast="yhat"}[6h] offset -6h, 60))'
check "prometheus: all of PromQL works on it" [ "$(count '.data.result | length')" = 2 ]

fires() {
    ask alerts
    [ "$(count '[.data.alerts[] | select(.labels.alertname == "LoadPredictedHigh" and .state == "firing")] | length')" = 2 ]
}
check "prometheus: an alert fires on a predicted value" wait_for 60 fires
healthy() {
    ask rules
    [ "$(count '[.data.groups[].rules[].health] | unique | join(" ")')" = ok ]
}
check "prometheus: every rule of etc/prometheus can be evaluated" wait_for 60 healthy

scraped() {
    ask query 'query=up{job="frwkvd"} == 1 and scrape_samples_scraped{job="frwkvd"} > 150'
    [ "$(count '.data.result | length')" = 1 ]
}
check "prometheus: scrapes our /metrics" wait_for 40 scraped
written() {
    get '/v1/series?select=frwkvd_storage_series'
    [ "$(count '.series[0].samples // 0')" -gt 2 ]
}
check "prometheus: and writes them here" wait_for 40 written

# ---- the dashboards' queries ---------------------------------------------------------------

# queries FILE -- with their variables filled in.
queries() {
    jq -r '.panels[].targets[].expr' "etc/grafana/$1.json" |
        sed 's/\$metric/load/g; s/\$labels/host="h1"/g; s/\$forecaster/web/g; s/\$ahead/6h/g; s/\$__rate_interval/1m/g'
}
# plot URL QUERY -- as a panel does, from three hours ago to a day ahead.
plot() {
    curl -fsS "$1/api/v1/query_range" --data-urlencode "query=$2" \
        -d "start=$((now - 10800))&end=$((now + 86400))&step=300" | jq -e '.status == "success"'
}
points() {
    curl -fsS "$1/api/v1/query_range" --data-urlencode "query=$2" \
        -d "start=$((now - 10800))&end=$((now + 86400))&step=300" | jq '[.data.result[].values | length] | add // 0'
}
queries forecast >"$tmp/forecast.q"
queries itself >"$tmp/itself.q"
check "etc/grafana: there are queries" [ "$(cat "$tmp/forecast.q" "$tmp/itself.q" | wc -l)" -gt 20 ]
while read -r query; do
    check "etc/grafana: forecast, on the daemon itself: $query" [ "$(points "$url" "$query")" -gt 10 ]
    check "etc/grafana: forecast, on Prometheus: $query" plot "http://127.0.0.1:$pport" "$query"
done <"$tmp/forecast.q"
while read -r query; do
    check "etc/grafana: itself, on Prometheus: $query" plot "http://127.0.0.1:$pport" "$query"
done <"$tmp/itself.q"
check "etc/grafana: the forecast's own line reaches a day ahead on Prometheus" \
    [ "$(points "http://127.0.0.1:$pport" 'load:predicted{forecaster="web",ml_forecast="yhat",host="h1"}')" -gt 270 ]

# ---- without required_matchers: two forecasters over one metric, and history ------------------

ended prometheus "$prometheus"
body=$(grep -E 'level=(warn|error)' "$tmp/prometheus.log" | grep -v SIGTERM | head -3)
check "prometheus: it has nothing to complain of" [ -z "$body" ]
sed -i '/required_matchers/d; /forecaster: web/d; /^remote_write/,/api\/v1\/write/d' "$tmp/prometheus.yml"
run both prometheus --config.file="$tmp/prometheus.yml" --storage.tsdb.path="$tmp/tsdb2" \
    --web.listen-address=127.0.0.1:"$pport"
prometheus=$reader
check "prometheus: starts without required_matchers" wait_for 60 up
ask query 'query=load:predicted{ml_forecast="yhat"}' "time=$((now + 7777))"
check "prometheus: two forecasters over one metric" [ "$status $(count '.data.result | length')" = "200 4" ]
ask query 'query=sum by (host) (load:predicted{ml_forecast=~"yhat|yhat_upper"})' "time=$((now + 7777))"
check "prometheus: added up" [ "$status $(count '.data.result | length')" = "200 2" ]
ask query_range 'query=last_over_time({__name__=~"load.*",host="h1",ml_forecast=""}[1h])' "start=$((now - 720000))" "end=$now" step=3600
check "prometheus: history that only we have" [ "$(count '.data.result[0].values | length')" -gt 190 ]
ended "prometheus without required_matchers" "$prometheus"

# The README's lines, and nothing else.
ours <"$tmp/snippet" >"$tmp/alone.yml"
check "README: its remote_read is a configuration" promtool check config "$tmp/alone.yml"
run alone prometheus --config.file="$tmp/alone.yml" --storage.tsdb.path="$tmp/tsdb3" \
    --web.listen-address=127.0.0.1:"$pport"
prometheus=$reader
check "prometheus: starts with the README's lines" wait_for 60 up
ask query_range "query=$predicted" "start=$now" "end=$until" step=60
check "prometheus: they show two days ahead without a hole" \
    [ "$(count '[.data.result[].values | length] | join(" ")')" = "2881 2881" ]
ask query 'query=load:predicted{ml_forecast="yhat"}' "time=$((now + 7777))"
check "prometheus: and leave out what does not name the forecaster" [ "$(count '.data.result | length')" = 0 ]
ended "prometheus by the README" "$prometheus"

# ---- promtool, straight at us ------------------------------------------------------------------

snippet promtool | ours >"$tmp/promtool.sh"
body=$(sh "$tmp/promtool.sh" 2>&1) && status=0 || status=$?
check "promtool: the README's line" [ "$status" = 0 ]
check "promtool: query instant shows what is ahead" [ "$(echo "$body" | grep -c '^load:predicted{forecaster="web", host="h[12]", ml_forecast="yhat", site="lab"} => ')" = 2 ]
body=$(promtool query range --start="$now" --end="$until" --step=1m "$url" "$predicted" 2>&1)
check "promtool: query range" [ "$(echo "$body" | grep -c ' @\[')" = 5762 ]
body=$(promtool query series --match='load{host="h1"}' --match=load:predicted "$url" 2>&1)
check "promtool: query series" [ "$(echo "$body" | grep -c '^{__name__="load')" = 13 ]
body=$(promtool query labels "$url" forecaster 2>&1 | tr '\n' ' ')
check "promtool: query labels" [ "$body" = "other web " ]
body=$(promtool query instant "$url" 'rate(load[5m])' 2>&1) && status=0 || status=$?
check "promtool: what is more than a selector is refused by name" \
    [ "$status" != 0 -a "$(echo "$body" | grep -c 'a function or aggregation, at byte 1')" = 1 ]

# ---- vmalert, straight at us ---------------------------------------------------------------------

snippet "An alert" >"$tmp/alert.yml"
check "README: its alert is a rule" promtool check rules "$tmp/alert.yml"
sed -i 's/> 90/> 20/' "$tmp/alert.yml"
vport=$(free_port)
command=$(snippet vmalert | ours | sed "s|/etc/prometheus/forecast.yml|$tmp/alert.yml|; s|127.0.0.1:9093|127.0.0.1:1|")
# shellcheck disable=SC2086  # a command line
run vmalert $command -httpListenAddr=127.0.0.1:"$vport" -evaluationInterval=1s \
    -remoteWrite.url="$url" -remoteWrite.flushInterval=1s
vmalert=$reader
vm_fires() {
    body=$(curl -fsS "http://127.0.0.1:$vport/api/v1/alerts")
    [ "$(count '[.data.alerts[] | select(.state == "firing")] | length')" = 2 ]
}
check "vmalert: an alert fires on a predicted value" wait_for 40 vm_fires
check "vmalert: the value is ours" [ "$(count '[.data.alerts[].value | tonumber | select(. > 20)] | length')" = 2 ]
recorded() {
    get '/v1/series?select=ALERTS%7Balertname%3D%22LoadPredictedHigh%22%7D'
    [ "$(count '[.series[] | select(.samples > 2)] | length')" = 2 ]
}
check "vmalert: writes its alerts here" wait_for 20 recorded
ended vmalert "$vmalert"
body=$(grep -E 'failed to (execute|query)|unexpected response' "$tmp/vmalert.log" | head -3)
check "vmalert: its queries are understood" [ -z "$body" ]

stop
check "the daemon ends well" [ "$stopped" = 0 ]
done_testing
