#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# /metrics as others read it: Prometheus' own linter, and the parsers of Prometheus'
# client for Python, which are strict in both formats.
. "$(dirname "$0")/lib.sh"

command -v promtool >/dev/null || { echo "skip all promtool is not installed"; exit 77; }
/usr/bin/python3 -c 'import prometheus_client' 2>/dev/null ||
    { echo "skip all python3-prometheus-client is not installed"; exit 77; }

configure
start
wave 400 2 >"$tmp/wave.csv"
"$frwkvd" import -c "$conf" "$tmp/wave.csv" >/dev/null 2>&1
put /v1/forecasters/web '{"select": "load", "step": "1h", "lookback": 48, "horizon": 24, "thresholds": {"above": 60},
    "settings": {"epochs": 1, "steps_per_epoch": 5}}'
request POST /v1/forecasters/web/train
check "a training begins" [ "$status" = 202 ]
check "it ends" wait_for 120 job_ended 1
post /v1/samples '{"samples": [{"series": "x", "time": "2999-01-01T00:00:00Z", "value": 1}]}'
request POST /-/reload
check "a reload is accepted" [ "$status" = 200 ]
mkdir -p "${conf%.conf}.d"
echo nonsense >"${conf%.conf}.d/bad.conf"
request POST /-/reload
check "another is refused" [ "$status" = 400 ]

curl -fsS "$url/metrics" >"$tmp/text"
body=$(promtool check metrics <"$tmp/text" 2>&1) && status=0 || status=$?
check "promtool check metrics has nothing to say" [ "$status$body" = 0 ]

# What dashboards, rules and the README ask for is there, and so are the labels by which
# they choose: names such as frwkvd_x{a="b"}, and what they count by.
shown() {
    jq -r '.panels[].targets[].expr' etc/grafana/*.json
    sed -n '/expr:/,/^ *\(for\|labels\|annotations\):/p' etc/prometheus/rules.yml
    sed 's/frwkvd_live_[^a-z]//g' README.md
}
shown | grep -oE '\b(frwkvd|process)_[a-z_]+[a-z](\{[^}$]*\})?' | sort -u >"$tmp/shown"
missing=
while read -r metric; do
    name=${metric%%"{"*}
    label=$(echo "$metric" | sed -n 's/.*{\([a-z]*\)=.*/\1/p')
    grep -qE "^$name(_total)?[ {]" "$tmp/text" || grep -qE "^# TYPE $name " "$tmp/text" || missing="$missing $name"
    [ -z "$label" ] || [ "$label" = job ] || ! grep -q "^$name{" "$tmp/text" ||
        grep -qE "^$name\{(.*,)?$label=\"" "$tmp/text" || missing="$missing $metric"
done <"$tmp/shown"
body=$missing
check "etc/ and the README name over twenty of them" [ "$(wc -l <"$tmp/shown")" -gt 20 ]
check "each is there" [ -z "$missing" ]
check "etc/prometheus: promtool has nothing to say" promtool check config etc/prometheus/prometheus.yml

cat >"$tmp/parse.py" <<'PY'
import sys
from prometheus_client.parser import text_string_to_metric_families as text
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
parse = {"text": text, "openmetrics": openmetrics}[sys.argv[1]]
families = list(parse(open(sys.argv[2]).read()))
samples = {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}
assert len(families) > 40, len(families)
for family in families:
    assert family.documentation, family.name
    assert family.type in ("counter", "gauge", "histogram"), (family.name, family.type)
web = (("forecaster", "web"),)
assert samples["frwkvd_model_version", web] == 1
assert samples["frwkvd_model_series", web] == 2
assert samples["frwkvd_forecast_issued_timestamp_seconds", web] > 1.7e9
judged = samples["frwkvd_model_judged_mase", (("candidate", "champion"),) + web]
assert 0 < judged < 10, judged
assert samples["frwkvd_jobs", (("kind", "train"), ("state", "done"))] == 1
assert samples["frwkvd_job_last_duration_seconds", (("kind", "train"),)] > 0
assert samples["frwkvd_samples_rejected_total", (("dialect", "json"), ("reason", "future"))] == 1
commits = samples["frwkvd_storage_commit_duration_seconds_count", ()]
assert samples["frwkvd_storage_commits_total", ()] > 0
assert commits == samples["frwkvd_storage_commits_total", ()] + samples["frwkvd_storage_commit_failures_total", ()]
assert samples["frwkvd_storage_commit_duration_seconds_bucket", (("le", "+Inf"),)] == commits
assert samples["frwkvd_reloads_total", (("result", "accepted"),)] == 1
assert samples["frwkvd_reloads_total", (("result", "refused"),)] == 1
assert abs(samples["frwkvd_reload_success_timestamp_seconds", ()] - samples["frwkvd_start_time_seconds", ()]) < 100
assert samples["frwkvd_scheduler_looks_total", ()] >= 1
assert samples["frwkvd_scheduler_failures_total", ()] == 0
for part in ("runner_long", "runner_short", "scheduler", "writer"):
    assert samples["frwkvd_part_silent_seconds", (("part", part),)] < 30
assert samples["frwkvd_calibration_version", web] == 0
assert samples["process_open_fds", ()] > 5
assert samples["process_resident_memory_bytes", ()] > 1e6
assert abs(samples["process_start_time_seconds", ()] - samples["frwkvd_start_time_seconds", ()]) < 30
PY
body=$(/usr/bin/python3 "$tmp/parse.py" text "$tmp/text" 2>&1) && status=0 || status=$?
check "the text format is parsed" [ "$status" = 0 ]

# As Prometheus 2.42 asks.
curl -fsS --compressed -D "$tmp/head" "$url/metrics" \
    -H 'Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1' \
    >"$tmp/openmetrics"
check "OpenMetrics is told apart" grep -q '^Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8' "$tmp/head"
check "gzip is told" grep -q '^Content-Encoding: gzip' "$tmp/head"
body=$(/usr/bin/python3 "$tmp/parse.py" openmetrics "$tmp/openmetrics" 2>&1) && status=0 || status=$?
check "OpenMetrics is parsed" [ "$status" = 0 ]
stop
done_testing
