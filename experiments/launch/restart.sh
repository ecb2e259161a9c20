#!/usr/bin/env bash
# Runs a command again until it succeeds: restart.sh LOG COMMAND [WORD...]
#
# What it prints is appended to LOG; LOG.pid holds this loop's process while it
# lasts, LOG.status the command's status at its end, or "stopped". A training
# that was stopped alone succeeds, and says that the same command resumes. The
# loop gives up after five failures that took less than five minutes each, and
# where the command ends twice with the same line `error: …`, which no
# repetition mends. To stop it, send SIGTERM to its process group: the command
# may save, is not restarted, and the loop ends with status 143.

set -uo pipefail

log=$1
shift
pause_s=${RESTART_PAUSE_S:-30}
quick_s=${RESTART_QUICK_S:-300}
resumable='^stopped .* as asked; the same command resumes$'

say() {
  printf '%s restart: %s\n' "$(date -u +%FT%TZ)" "$*" | tee -a "$log"
}

finish() {
  local word=$1
  if "$is_stopped"; then word=stopped; fi
  rm -f "$log.pid"
  printf '%s\n' "$word" >"$log.status"
  if "$is_stopped"; then exit 143; fi
  exit "$1"
}

mkdir -p "$(dirname "$log")"
touch "$log"
if [[ -f $log.pid ]] && kill -0 "$(cat "$log.pid")" 2>/dev/null; then
  say "process $(cat "$log.pid") does this already"
  exit 1
fi
rm -f "$log.status"
printf '%s\n' "$$" >"$log.pid"
is_stopped=false
trap 'is_stopped=true' TERM INT
failures=0
before=
while true; do
  started_s=$SECONDS
  begin=$(($(wc -c <"$log") + 1))
  # The last words of the command are logged whatever ends it.
  "$@" 2>&1 | (
    trap '' TERM INT
    exec tee -a "$log"
  )
  status=${PIPESTATUS[0]}
  if "$is_stopped"; then
    finish "$status"
  fi
  stops=$(tail -c "+$begin" "$log" | grep -c "$resumable")
  if ((status == 0 && stops == 0)); then
    finish "$status"
  fi
  last=$(tail -n 1 "$log")
  if [[ $last == 'error: '* && $last == "$before" ]]; then
    say "the same error again; it has to be mended first"
    finish "$status"
  fi
  before=$last
  if ((status != 0 && SECONDS - started_s < quick_s)); then
    failures=$((failures + 1))
  else
    failures=0
  fi
  if ((failures == 5)); then
    say "failed five times in a row (status $status)"
    finish "$status"
  fi
  say "status $status; again in $pause_s s"
  sleep "$pause_s"
  if "$is_stopped"; then
    finish "$status"
  fi
done
