#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# peers.sh -- bugs that the strongest programs of this kind shipped and mended, and which
# test would find each here.  Fails where a test of the list is no more.
#
#   the bug | the test's file | a text in it: a function, or what is checked
set -u
cd "$(dirname "$0")/.." || exit 1
list="
schedules
  a restart between two trainings leaves the scheduler idle | tests/daemon/test_scheduler.c | each_instant_once
  after a kill nothing is due any more | tests/e2e/test_schedules.sh | after a kill they go on
  the first job does not fire at its start time | tests/daemon/test_scheduler.c | exactly_on_time
  a clock that is set back or ahead stops or floods it | tests/daemon/test_scheduler.c | a_clock_that_is_set
  hours that daylight saving skips or repeats | tests/daemon/test_scheduler.c | over_daylight_saving
  a broken definition stops all others | tests/daemon/test_scheduler.c | one_bad_definition_stops_nobody
  forecasts are skipped where trainings are rarer than their window | tests/e2e/test_schedules.sh | the first model comes by itself, and forecasts
  several schedulers overwrite each other's metrics | tests/api/test_metrics.c | Forecasters do not write over each other's
jobs and threads
  a stuck job holds the only slot for ever | tests/e2e/test_job_limits.sh | the one behind it is done
  a training holds forecasts up | tests/e2e/test_schedules.sh | forecasts go on beside it
  training and forecasting deadlock on many cores | tests/e2e/test_schedules.sh | threads = 16
  a job that takes its process down is taken again for ever | tests/storage/test_jobs.c | a_job_that_kills_its_process_is_failed
  a dead worker goes unnoticed, or takes the service down at once | tests/daemon/test_serve.c | who_hangs_starves_the_watchdog
  credentials are kept in finished jobs | tests/e2e/test_credentials.sh | no job keeps secrets
  failed writes are missing from the latency metric | tests/storage/test_pressure.c | a_failed_commit_counts_its_time
reload
  a file is read twice, and what applies is not what was checked | tests/e2e/test_reload.sh | each file is read once
  a symbolic link that is swapped is not noticed | tests/e2e/test_reload.sh | and its swap noticed
  half of a bad reload is applied | tests/e2e/test_reload.sh | nothing of the good files is taken then
  a reload without a change starts all anew | tests/e2e/test_reload.sh | not even the revision
  an option that takes a restart is ignored silently | tests/e2e/test_reload.sh | what takes a restart is said
versions and restarts
  models are deleted while in use | tests/api/test_forecast.c | test_swap_under_readers
  a model of an older definition goes on serving | tests/storage/test_models.c | only_the_present_revision_counts
  another model answers in its place, silently | tests/model/test_forecast.c | gaps_are_told_and_the_network_steps_back
  a retraining or a backtest reuses the old weights | tests/daemon/test_train_job.c | a_training_owes_nothing_to_the_one_before
  a retraining replaces a better model | tests/daemon/test_train_job.c | a_worse_challenger_is_kept_but_does_not_serve
  retraining goes round in a loop | tests/daemon/test_retrain.c | it_is_no_loop
  a killed training ends with other weights | tests/daemon/test_train_job.c | an_interrupted_job_ends_with_the_same_model
  old state cannot be read after an upgrade | tests/storage/test_compaction.c | files_of_past_versions_open
  an upgrade that is interrupted leaves neither | tests/storage/test_kill.c | a_migration_goes_on_where_it_ended
  newer state is damaged by an older program | tests/storage/test_open.c | refuses_a_newer_schema
"
fail=0
count=0
while IFS='|' read -r bug file text; do
    [ -n "$text" ] || continue
    file=$(echo "$file" | tr -d ' ')
    text=${text# }
    count=$((count + 1))
    grep -qF -- "$text" "$file" 2>/dev/null && continue
    echo "no test any more for \"${bug% }\": $file has no '$text'"
    fail=1
done <<EOF
$list
EOF
[ "$count" -ge 25 ] || { echo "only $count bugs were read"; fail=1; }
if [ $fail -eq 0 ]; then echo "ok peers"; else echo "not ok peers"; fi
exit $fail
