#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The programs that push metrics, as Debian and npm ship them, against the daemon: what
# they hold arrives, and the books close after each.  What the README shows of them is
# what runs here.
. "$(dirname "$0")/../e2e/lib.sh"

for program in prometheus vmagent influx collectd node npm script; do
    command -v $program >/dev/null || { echo "skip all needs $program"; exit 77; }
done

senders=
finish_senders() {
    code=$?
    for sender in $senders; do kill -9 "$sender" 2>/dev/null; done
    (exit $code) # not that of kill, for which they may have ended
    finish
}
trap finish_senders EXIT

# run PROGRAM... -- in the background, its output in $tmp/sender.log; its id is $sender.
run() {
    "$@" >"$tmp/sender.log" 2>&1 &
    sender=$!
    senders="$senders $sender"
}

# ended -- stops the sender that was run last, and looks at the books.
ended() {
    kill "$sender" 2>/dev/null
    wait "$sender" 2>/dev/null
    check "$1: the accounting closes" accounts_close
}

# snippet NAME -- the indented block that follows the line of the README that begins with
# **NAME**, for this daemon.
snippet() {
    awk -v name="**$1**" 'index($0, name) == 1 { found = 1; next }
        found && /^    / { print substr($0, 5); shown = 1; next }
        shown && NF { exit }' README.md | sed "s/127\.0\.0\.1:9797/127.0.0.1:$port/g; s/-port 9797/-port $port/"
}

# counter DIALECT KIND WORD -- of the daemon's samples.
counter() {
    curl -fsS "$url/metrics" |
        sed -n "s/^frwkvd_samples_[a-z]*_total{dialect=\"$1\",$2=\"$3\"} //p"
}

# held SELECTOR -- how many samples of how many series.
held() {
    curl -fsS -G "$url/v1/series" --data-urlencode "select=$1" --data-urlencode limit=100000 |
        jq -r '"\([.series[].samples] | add // 0) \(.series | length)"'
}
some_held() { [ "$(held "$1" | cut -d' ' -f1)" -ge "${2:-1}" ]; }

# samples SERIES FROM TO -- ours, "seconds value" a line.
samples() {
    curl -fsS -G "$url/v1/samples" --data-urlencode "series=$1" --data-urlencode limit=100000 |
        jq -r --argjson from "$2" --argjson to "$3" '.samples[] |
            ((.time | sub("\\.[0-9]+Z"; "Z") | fromdate) +
             ((.time | capture("\\.(?<f>[0-9]+)Z").f // "0") | ("0." + .) | tonumber)) as $t |
            select($t > $from and $t <= $to) | "\($t) \(.value)"'
}

configure
start

# ---- Prometheus ----------------------------------------------------------------------

pport=$(free_port)
# prometheus_config SITE PORT -- scrapes what listens there.
prometheus_config() {
    printf 'global: {scrape_interval: 500ms, external_labels: {site: "%s"}}\n' "$1"
    printf 'scrape_configs: [{job_name: own, static_configs: [{targets: ["127.0.0.1:%s"]}]}]\n' "$2"
    snippet Prometheus
    printf '    metadata_config: {send_interval: 2s}\n'
}
prometheus_config lab "$pport" >"$tmp/prometheus.yml"
check "the README tells how Prometheus is connected" grep -q "127.0.0.1:$port/api/v1/write" "$tmp/prometheus.yml"

# theirs SERIES FROM TO -- what Prometheus itself holds, in the form of samples().
theirs() {
    curl -fsS "http://127.0.0.1:$pport/api/v1/query" --data-urlencode "query=$1[5m]" --data-urlencode "time=$3" |
        jq -r --argjson from "$2" '.data.result[0].values[] | select(.[0] > $from) | "\(.[0]) \(.[1] | tonumber)"'
}

run prometheus --config.file="$tmp/prometheus.yml" --storage.tsdb.path="$tmp/prometheus" \
    --web.listen-address=127.0.0.1:"$pport"
series='process_cpu_seconds_total{instance="127.0.0.1:'$pport'",job="own",site="lab"}'
check "prometheus: its own scrape arrives" wait_for 40 some_held "$series" 5
check "prometheus: the label set is whole" [ "$(held "$series")" != "0 0" ]
# The daemon dies and comes back: Prometheus waits, and sends again.
stop KILL
sleep 2
start
check "prometheus: goes on after the daemon was killed" wait_for 40 some_held "$series" 30
settled() {
    to=$(($(date +%s) - 4))
    from=$((to - 20))
    theirs "${series%,site*}}" $from $to >"$tmp/theirs"
    samples "$series" $from $to >"$tmp/ours"
    [ "$(wc -l <"$tmp/theirs")" -ge 30 ] && cmp "$tmp/theirs" "$tmp/ours"
}
check "prometheus: every sample that it holds is here, killed or not" wait_for 60 settled
body=$(diff "$tmp/theirs" "$tmp/ours" | head -5)
not_a_value() { [ "$(counter remote_write reason not_finite)" -gt 0 ]; }
check "prometheus: NaN of its summaries is counted" not_a_value
prometheus_config lab 1 >"$tmp/prometheus.yml"
kill -HUP "$sender"
stale() { [ "$(counter remote_write reason stale)" -gt 0 ]; }
check "prometheus: a target that goes leaves stale markers" wait_for 30 stale
requests() {
    curl -fsS "$url/metrics" | sed -n 's/^frwkvd_http_requests_total{route="\/api\/v1\/write",method="POST",status="'"$1"'"} //p'
}
ended prometheus
body=$(grep -E 'level=(warn|error)' "$tmp/sender.log" | grep -v "$port/api/v1/write.*connection refused" | head -3)
check "prometheus: it has nothing to complain of" sh -c "! grep -E 'level=error|non-recoverable' '$tmp/sender.log'"
check "prometheus: all its requests were taken" [ -z "$(requests 400)$(requests 415)$(requests 500)" ]

prometheus_config agent "$pport" >"$tmp/agent.yml"
run prometheus --enable-feature=agent --config.file="$tmp/agent.yml" --storage.agent.path="$tmp/agent" \
    --web.listen-address=127.0.0.1:"$pport"
check "prometheus agent: its own scrape arrives" wait_for 40 some_held '{__name__="up",site="agent"}' 5
ended "prometheus agent"

# ---- vmagent ---------------------------------------------------------------------------

vport=$(free_port)
printf 'global: {scrape_interval: 1s, external_labels: {site: "vm"}}\nscrape_configs: [{job_name: own, static_configs: [{targets: ["127.0.0.1:%s"]}]}]\n' \
    "$vport" >"$tmp/vmagent.yml"
command=$(snippet vmagent | sed "s|/etc/prometheus/prometheus.yml|$tmp/vmagent.yml|")
# shellcheck disable=SC2086  # a command line
run $command -remoteWrite.tmpDataPath="$tmp/vmagent" -httpListenAddr=127.0.0.1:"$vport" -remoteWrite.flushInterval=1s
check "vmagent: its own scrape arrives" wait_for 40 some_held '{__name__="up",site="vm"}' 5
ended vmagent
check "vmagent: it has nothing to complain of" sh -c "! grep -E '	(error|fatal)	' '$tmp/sender.log'"

# ---- InfluxDB's clients ----------------------------------------------------------------

now=$(date +%s)
{
    printf '# DDL\nCREATE DATABASE pirates\n# DML\n# CONTEXT-DATABASE: pirates\n'
    for i in $(seq 12000); do echo "treasures,captain=tetra value=$i,note=\"x, y\" $((now - 12000 + i))"; done
} >"$tmp/import.txt"
influx -host 127.0.0.1 -port "$port" -import -path "$tmp/import.txt" -precision s >"$tmp/import.log" 2>&1
body=$(tail -3 "$tmp/import.log")
check "influx -import: all lines go in" grep -q 'Processed 12000 inserts' "$tmp/import.log"
check "influx -import: none fails" grep -q 'Failed 0 inserts' "$tmp/import.log"
check "influx -import: they are here" [ "$(held 'treasures_value{captain="tetra",db="pirates"}')" = "12000 1" ]
check "influx -import: text is counted" [ "$(counter influx reason not_number)" = 12000 ]
check "influx -import: the accounting closes" accounts_close

snippet influx >"$tmp/influx.sh"
check "influx: the README's line" sh "$tmp/influx.sh"
check "influx: INSERT is here" [ "$(held 'cpu_usage{db="fleet",host="web-1"}')" = "1 1" ]
influx -host 127.0.0.1 -port "$port" -database fleet -execute 'INSERT bad line here' >"$tmp/bad" 2>&1
check "influx: a bad line is shown" grep -q "partial write: unable to parse 'bad line here': invalid field format" "$tmp/bad"
check "influx: and counted" [ "$(counter influx reason invalid)" = 1 ]
# Typed at a terminal, each line once the prompt is there again.
typed() {
    for tries in $(seq 50); do
        [ "$(grep -o '> ' "$tmp/shell" | wc -l)" -le "$prompts" ] || break
        sleep 0.1
    done
    prompts=$((prompts + 1))
    printf '%s\r' "$1"
}
type_all() {
    prompts=0
    for line in 'SHOW DATABASES' 'USE nope' 'CREATE DATABASE "new one"' 'USE "new one"' 'INSERT cpu,host=a usage=1' \
        'USE fleet' 'USE fleet.autogen' 'SELECT * FROM cpu' exit; do typed "$line"; done
}
: >"$tmp/shell"
type_all | TERM=dumb script -qfec "influx -host 127.0.0.1 -port $port" /dev/null >>"$tmp/shell" 2>&1
body=$(cat "$tmp/shell")
check "influx shell: it lists databases" grep -q '^pirates' "$tmp/shell"
check "influx shell: USE of one that is not there is refused" grep -q "Database nope doesn't exist" "$tmp/shell"
check "influx shell: USE of one just created" grep -q 'Using database new one' "$tmp/shell"
check "influx shell: INSERT goes there" [ "$(held 'cpu_usage{db="new one",host="a"}')" = "1 1" ]
check "influx shell: USE of one that holds something" grep -q 'Using database fleet' "$tmp/shell"
check "influx shell: and its retention policy" grep -q 'Using retention policy autogen' "$tmp/shell"
check "influx shell: a query is told where to read" grep -q 'ERR: q: must be .*/v1/samples' "$tmp/shell"
check "influx: the accounting closes" accounts_close

cat >"$tmp/client.py" <<'PY'
import sys
from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError
client = InfluxDBClient("127.0.0.1", int(sys.argv[1]), sys.argv[2], sys.argv[3], "py", gzip=True)
assert client.ping().startswith("1.8")
client.create_database("py")
assert {"name": "py"} in client.get_list_database()
points = [{"measurement": "m", "tags": {"host": "a b,c=d"}, "time": i * 10**9,
           "fields": {"f": i / 8, "i": i, "ok": True, "s": "text"}} for i in range(1000)]
assert client.write_points(points, batch_size=300)
try:
    client.write(["m f=1", "broken"], {"db": "py"}, protocol="line")
    raise SystemExit("a bad line was taken")
except InfluxDBClientError as error:
    assert "partial write" in str(error), error
PY
body=$(/usr/bin/python3 "$tmp/client.py" "$port" u p 2>&1) && status=0 || status=1
check "python3-influxdb: writes" [ $status = 0 ]
check "python3-influxdb: numbers and booleans are here" [ "$(held '{__name__=~"m_.*",db="py",host="a b,c=d"}')" = "3000 3" ]
check "python3-influxdb: the accounting closes" accounts_close

# ---- with credentials --------------------------------------------------------------------

stop
printf 'user = sender\npassword = correct horse\ntoken = 6qwLzUyT\n' >"$tmp/secrets"
chmod 600 "$tmp/secrets"
sed -i 's/^listen = .*/&\ncredentials = secrets/' "$conf"
start
# From here on whoever asks /metrics must know the token.
printf 'header = "Authorization: Bearer 6qwLzUyT"\n' >"$tmp/.curlrc"
export CURL_HOME="$tmp"

body=$(/usr/bin/python3 "$tmp/client.py" "$port" sender wrong 2>&1) && status=0 || status=1
check "python3-influxdb: is refused with a wrong password" grep -q "401" <<EOF
$body
EOF
body=$(/usr/bin/python3 "$tmp/client.py" "$port" sender "correct horse" 2>&1) && status=0 || status=1
check "python3-influxdb: knows the password" [ $status = 0 ]

cat >"$tmp/client.js" <<'JS'
const { InfluxDB, Point } = require("@influxdata/influxdb-client");
const [, , url, token] = process.argv;
const options = { maxRetries: 0, gzipThreshold: 0 };
const api = new InfluxDB({ url, token }).getWriteApi("org", "js", "ms", options);
const now = Date.now();
for (let i = 0; i < 2500; i++)
    api.writePoint(new Point("m").tag("host", "a b").floatField("f", i / 8).intField("i", i)
        .timestamp(now - i * 1000));
api.close().then(() => console.log("written"), (e) => { console.log(e.statusCode, e.body); process.exit(1); });
JS
body=$(npm install --prefix "$tmp" --no-save --no-audit --no-fund --ignore-scripts --loglevel=error \
    @influxdata/influxdb-client@1.35.0 2>&1) || :
body=$(node "$tmp/client.js" "$url" wrong 2>&1) && status=0 || status=1
check "@influxdata/influxdb-client: is refused with a wrong token" grep -q '401.*"code":"unauthorized"' <<EOF
$body
EOF
body=$(node "$tmp/client.js" "$url" 6qwLzUyT 2>&1) && status=0 || status=1
check "@influxdata/influxdb-client: writes, gzip and chunked" [ $status = 0 ]
check "@influxdata/influxdb-client: all is here" [ "$(held '{__name__=~"m_.*",db="js",host="a b"}')" = "5000 2" ]
check "@influxdata/influxdb-client: the accounting closes" accounts_close

# collectd [USER PASSWORD] -- the README's configuration, with plugins that have something
# to say on any machine.
collectd_config() {
    printf 'Hostname "box"\nInterval 1\nBaseDir "%s"\nPIDFile "%s/collectd.pid"\nTypesDB "/usr/share/collectd/types.db"\n' "$tmp" "$tmp"
    printf 'LoadPlugin load\nLoadPlugin memory\nLoadPlugin logfile\n<Plugin logfile>\nLogLevel info\nFile stdout\n</Plugin>\n'
    snippet collectd | if [ -n "${1-}" ]; then
        sed "s|Format .*|&\\nUser \"$1\"\\nPassword \"$2\"|"
    else
        cat
    fi
}
collectd_config sender wrong >"$tmp/collectd.conf"
run collectd -f -C "$tmp/collectd.conf"
refused() {
    curl -fsS "$url/metrics" | grep -q '^frwkvd_http_requests_total{route="/collectd",method="POST",status="401"} [1-9]'
}
check "collectd: is refused with a wrong password" wait_for 20 refused
ended collectd
check "collectd: nothing of it is here" [ "$(held '{__name__=~"collectd_.*"}')" = "0 0" ]
collectd_config sender "correct horse" >"$tmp/collectd.conf"
run collectd -f -C "$tmp/collectd.conf"
check "collectd: knows the password" wait_for 20 some_held 'collectd_load_shortterm{instance="box"}' 3
ended collectd
check "collectd: it has nothing to complain of" sh -c "! grep -i 'write_http.*fail' '$tmp/sender.log'"

# ---- and without -------------------------------------------------------------------------

sed -i '/^credentials/d' "$conf"
check "the accounting closes" accounts_close
kill "$pid"
wait "$pid"
start
collectd_config | sed 's/"box"/"open"/' >"$tmp/collectd.conf"
run collectd -f -C "$tmp/collectd.conf"
check "collectd: needs no password where none is wanted" \
    wait_for 20 some_held 'collectd_memory{instance="open",memory="free"}' 3
ended collectd
stop
check "the daemon ends well" [ "$stopped" = 0 ]
done_testing
