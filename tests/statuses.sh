#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# statuses.sh -- each status that a dialect answers with, when, and the test that shows it.
# Fails where that test is no more, or no longer has the status in it, and where a dialect
# lacks one of those that any may come to.
#
#   status | when | the test's file in tests/ | its function
set -u
cd "$(dirname "$0")/.." || exit 1
list="
remote_write: /api/v1/write, /api/v1/push
  204 | stored, whatever of it was no value | api/test_remote_write.c | test_round_trip
  204 | sent again | api/test_remote_write.c | test_again
  204 | metadata alone | api/test_remote_write.c | test_passed_over
  400 | some of it is refused, the rest stored | api/test_remote_write.c | test_bad_series
  400 | too far ahead of the clock | api/test_remote_write.c | test_bad_times
  400 | neither snappy nor protobuf | api/test_remote_write.c | test_statuses
  401 | no credentials, or wrong ones | api/test_statuses.c | test_refused_by_head
  405 | another method | api/test_remote_write.c | test_statuses
  413 | larger than the limit, packed or not | api/test_remote_write.c | test_statuses
  413 | more samples than memory would ever have room for | api/test_remote_write.c | test_busy
  415 | another encoding, type or schema | api/test_remote_write.c | test_statuses
  500 | a failure of ours | api/test_statuses.c | test_table
  503 | memory for samples is full | api/test_remote_write.c | test_busy
  503 | the disk takes no more | api/test_statuses.c | test_disk
  503 | workers and their queue are busy, or not done in time | api/test_statuses.c | test_busy
  503 | shutting down | api/test_statuses.c | test_stopping
remote_read: /api/v1/read
  200 | each query's series | api/test_remote_read.c | unpack
  400 | no ReadRequest, a bad matcher | api/test_remote_read.c | test_refusals
  400 | more than an answer holds | api/test_remote_read.c | test_too_much
  401 | no credentials, or wrong ones | api/test_statuses.c | test_refused_by_head
  405 | another method | api/test_remote_read.c | test_refusals
  413 | a body larger than the limit | api/test_remote_read.c | test_refusals
  415 | another encoding or type | api/test_remote_read.c | test_refusals
  500 | a failure of ours | api/test_statuses.c | test_table
  503 | workers and their queue are busy, or not done in time | api/test_statuses.c | test_busy
  503 | shutting down | api/test_statuses.c | test_stopping
query: /api/v1/query and those beside it
  200 | an answer, the data source's health check | api/test_prometheus.c | test_health
  400 | bad_data: a parameter, or more than a selector | api/test_prometheus.c | test_refusals
  401 | no credentials, or wrong ones | api/test_prometheus.c | test_credentials
  405 | a POST where there is only GET, which Grafana then tries | api/test_prometheus.c | test_refusals
  413 | a form larger than the limit | api/test_prometheus.c | test_refusals
  415 | another encoding | api/test_prometheus.c | test_refusals
  422 | execution: more than an answer holds | api/test_prometheus.c | test_execution
  500 | a failure of ours | api/test_prometheus.c | test_table
  503 | timeout: workers busy, or not done in time | api/test_statuses.c | test_busy
  503 | shutting down | api/test_statuses.c | test_stopping
influx_v1: /write, /query, /ping
  200 | the handshakes of /query | api/test_influx.c | test_databases
  204 | stored | api/test_influx.c | test_lines
  204 | any database is there, never 404 | api/test_influx.c | test_statuses
  204 | a ping | api/test_influx.c | test_handshakes
  400 | partial write: a line that cannot be read | api/test_influx.c | test_bad_lines
  400 | partial write: a value that cannot be stored | api/test_influx.c | test_refused_values
  400 | a query that asks for more | api/test_influx.c | test_other_statements
  401 | no credentials, or wrong ones | api/test_statuses.c | test_refused_by_head
  401 | wrong ones in the URL | api/test_login.c | test_elsewhere
  405 | another method | api/test_influx.c | test_statuses
  413 | larger than the limit | api/test_influx.c | test_statuses
  415 | another encoding | api/test_influx.c | test_statuses
  500 | a failure of ours | api/test_statuses.c | test_table
  503 | memory for samples is full, and /health says so | api/test_influx.c | test_statuses
  503 | the disk takes no more | api/test_statuses.c | test_disk
  503 | workers and their queue are busy, or not done in time | api/test_statuses.c | test_busy
  503 | shutting down | api/test_statuses.c | test_stopping
influx_v2: /api/v2/write
  204 | stored | api/test_influx.c | test_v2
  400 | a line that cannot be read: nothing is stored | api/test_influx.c | test_v2
  401 | no credentials, or wrong ones | api/test_statuses.c | test_refused_by_head
  404 | what of version 2 is not here | api/test_influx.c | test_statuses
  405 | another method | api/test_influx.c | test_statuses
  413 | larger than the limit | api/test_influx.c | test_statuses
  415 | another encoding | api/test_influx.c | test_statuses
  422 | some of it is refused, the rest stored | api/test_influx.c | test_refused_values
  500 | a failure of ours | api/test_statuses.c | test_table
  503 | memory for samples is full | api/test_influx.c | test_statuses
  503 | the disk takes no more | api/test_statuses.c | test_disk
  503 | workers and their queue are busy, or not done in time | api/test_statuses.c | test_busy
  503 | shutting down | api/test_statuses.c | test_stopping
collectd: /collectd
  200 | stored: 204 would be logged as a failure | api/test_collectd.c | test_names
  400 | some of it is refused, the rest stored | api/test_collectd.c | test_partial
  401 | no credentials at first, as it asks | api/test_statuses.c | test_refused_by_head
  405 | another method | api/test_collectd.c | test_statuses
  413 | larger than the limit | api/test_collectd.c | test_statuses
  415 | an encoding | api/test_collectd.c | test_statuses
  500 | a failure of ours | api/test_statuses.c | test_table
  503 | memory for samples is full | api/test_collectd.c | test_statuses
  503 | the disk takes no more | api/test_statuses.c | test_disk
  503 | workers and their queue are busy, or not done in time | api/test_statuses.c | test_busy
  503 | shutting down | api/test_statuses.c | test_stopping
opentsdb: /api/put
  200 | stored, with ?summary or ?details | api/test_opentsdb.c | test_statuses
  204 | stored | api/test_opentsdb.c | test_points
  400 | some of it is refused, the rest stored | api/test_opentsdb.c | test_bad_points
  400 | the same with ?details, no JSON | api/test_opentsdb.c | test_statuses
  401 | no credentials, or wrong ones | api/test_statuses.c | test_refused_by_head
  405 | another method | api/test_opentsdb.c | test_statuses
  413 | larger than the limit | api/test_opentsdb.c | test_statuses
  415 | an encoding | api/test_opentsdb.c | test_statuses
  500 | a failure of ours | api/test_statuses.c | test_table
  503 | memory for samples is full | api/test_opentsdb.c | test_statuses
  503 | the disk takes no more | api/test_statuses.c | test_disk
  503 | workers and their queue are busy, or not done in time | api/test_statuses.c | test_busy
  503 | shutting down | api/test_statuses.c | test_stopping
"
# body FILE FUNCTION -- its lines.
body() {
    awk -v start="[ *]$2\\\\(" '!inside && /^[a-z].*\(/ && !/;$/ && $0 ~ start { inside = 1 }
        inside { print } inside && /^}/ { exit }' "$1"
}
fail=0
count=0
seen=
while IFS='|' read -r status when file function; do
    [ -n "$status" ] || continue
    [ -n "$function" ] || { dialect=${status%%:*}; continue; }
    status=${status#  } file=${file# }
    status=${status% } file=tests/${file% }
    count=$((count + 1))
    seen="$seen $dialect-$status"
    body "$file" "${function# }" | grep -qw "$status" && continue
    echo "no test any more for $dialect: $status,${when% }: $file, ${function# }()"
    fail=1
done <<EOF
$list
EOF
for dialect in remote_write remote_read query influx_v1 influx_v2 collectd opentsdb; do
    for status in 400 401 405 413 415 500 503; do
        case "$seen " in *" $dialect-$status "*) continue ;; esac
        echo "no test is named for $dialect: $status"
        fail=1
    done
done
[ "$count" -ge 70 ] || { echo "only $count statuses were read"; fail=1; }
if [ $fail -eq 0 ]; then echo "ok statuses"; else echo "not ok statuses"; fi
exit $fail
