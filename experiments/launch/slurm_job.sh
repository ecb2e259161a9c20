#!/usr/bin/env bash
# The job of launch_slurm.sh: runs a command as all its tasks.
#
# Slurm sends USR1 shortly before the time is over, and TERM when it preempts:
# the tasks get TERM, save and end, and the job queues itself again.

set -uo pipefail

is_stopped=false
# shellcheck disable=SC2329 # The trap calls it.
stop() {
  is_stopped=true
  scancel --signal=TERM "$SLURM_JOB_ID"
}
trap stop USR1 TERM

# A task that ends must not take one with it that still saves.
srun --kill-on-bad-exit=0 "$@" &
tasks=$!
wait "$tasks"
status=$?
# A signal ends the wait, not the tasks.
while kill -0 "$tasks" 2>/dev/null; do
  wait "$tasks"
  status=$?
done
if "$is_stopped"; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
