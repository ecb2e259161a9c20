#!/usr/bin/env bash
# Trains on a slice of Cloud TPUs that is waited for in the queue.
#
#   launch_tpu.sh run NAME --zone=Z --type=T --workdir=gs://BUCKET/FOLDER \
#     [options] -- --config=FILE [training flags]
#   launch_tpu.sh logs NAME --zone=Z      follows the log once more
#   launch_tpu.sh fetch NAME --workdir=gs://BUCKET/FOLDER   to runs/NAME
#   launch_tpu.sh delete NAME --zone=Z    gives the slice back, which ends costs
#
# `run` creates the slice, copies the code at a commit, installs it, trains in a
# loop that restarts what fails, shows the log, and sets up a new slice when
# this one is taken away. The run's folder is in the bucket, so each start goes
# on from the last checkpoint. Paths gs://… in training flags work as well.
#
#   --type=T        such as v5litepod-16 or v6e-8
#   --runtime=R     the machines' image (default: Google's for the type)
#   --spot          cheaper, and may be taken away at any time
#   --preemptible   likewise, by the older kind of quota
#   --commit=C      of the code (default: HEAD)
#   --project=P     default: gcloud's
#   --fetch         in the end, copies the results to runs/NAME
#   --delete        in the end, gives the slice back
#   --dry-run       prints the commands, and does nothing

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=experiments/launch/common.sh
source "$here/launch/common.sh"

action=${1:-}
case $action in
  run | logs | fetch | delete) ;;
  *) usage "$0" && exit 2 ;;
esac
name=${2:-}
[[ $name =~ ^[a-z][a-z0-9-]*$ ]] ||
  fail "'$name' is no name: give small letters, digits and '-', such as demucs-1"
shift 2

zone='' type='' runtime='' tier='' commit=HEAD project='' workdir=''
fetch=false delete=false
while (($#)); do
  case $1 in
    --zone=*) zone=${1#*=} ;;
    --type=*) type=${1#*=} ;;
    --runtime=*) runtime=${1#*=} ;;
    --spot | --preemptible) tier=${1#--} ;;
    --commit=*) commit=${1#*=} ;;
    --project=*) project=${1#*=} ;;
    --workdir=*) workdir=${1#*=} ;;
    --fetch) fetch=true ;;
    --delete) delete=true ;;
    --dry-run) dry_run=true ;;
    --) shift && break ;;
    *) fail "unknown option $1; training flags go behind --" ;;
  esac
  shift
done
flags=("$@")
[[ -n $zone || $action == fetch ]] || fail "give --zone=, such as europe-west4-b"
if [[ $action == run || $action == fetch ]]; then
  [[ $workdir == gs://?*/?* ]] ||
    fail "give --workdir=gs://BUCKET/FOLDER: what lies on a slice goes with it"
fi
if [[ -z $runtime ]]; then
  case $type in
    v5litepod-*) runtime=v2-alpha-tpuv5-lite ;;
    v5p-*) runtime=v2-alpha-tpuv5 ;;
    v6e-*) runtime=v2-alpha-tpuv6e ;;
    *) runtime=tpu-ubuntu2204-base ;;
  esac
fi
where=(--zone="$zone" --quiet)
[[ -z $project ]] || where+=(--project="$project")

create() {
  local gcloud=(gcloud) kind=()
  case $tier in
    spot) kind=(--spot) ;;
    preemptible) gcloud=(gcloud alpha) kind=(--best-effort) ;;
  esac
  run "${gcloud[@]}" compute tpus queued-resources create "$name" \
    --node-id="$name" --accelerator-type="$type" \
    --runtime-version="$runtime" ${kind[@]+"${kind[@]}"} "${where[@]}"
}

give_back() {
  run gcloud compute tpus queued-resources delete "$name" --force "${where[@]}"
}

state() {
  run gcloud compute tpus queued-resources describe "$name" \
    --format='value(state.state)' "${where[@]}"
}

wait_until_active() {
  if "$dry_run"; then
    state
    return
  fi
  local now
  while true; do
    now=$(state) || now=UNKNOWN
    case $now in
      ACTIVE) return ;;
      FAILED | SUSPENDING | SUSPENDED) fail "$name is $now; see its message: \
gcloud compute tpus queued-resources describe $(quoted "$name" "${where[@]}")" ;;
    esac
    printf '%s is %s\n' "$name" "$now" >&2
    sleep "${LAUNCH_POLL_S:-30}"
  done
}

# Runs a shell command on a worker, or on "all" of them.
on_worker() {
  run gcloud compute tpus tpu-vm ssh "$name" --worker="$1" --command="$2" \
    "${where[@]}"
}

# Lists the buckets that words name, each once.
buckets() {
  printf '%s\n' "$@" | grep -oE 'gs://[^/,]+' | cut -c 6- | sort -u
}

set_up() {
  local archive list
  archive=${TMPDIR:-/tmp}/$name-${code:0:12}.tar.gz
  run git -C "$here/.." archive --format=tar.gz --output="$archive" "$code"
  run gcloud compute tpus tpu-vm scp "$archive" "$name:$name.tar.gz" \
    --worker=all "${where[@]}"
  list=$(buckets "$workdir" ${flags[@]+"${flags[@]}"})
  # shellcheck disable=SC2086 # Names of buckets have no spaces.
  on_worker all "mkdir -p $name && tar -xzf $name.tar.gz -C $name && \
bash $name/experiments/launch/tpu_worker.sh $(quoted $list)"
}

start() {
  local words=(.venv/bin/python -m distortion_removal.main --distributed)
  words+=(--workdir="$workdir" ${flags[@]+"${flags[@]}"})
  on_worker all "cd $name && (setsid nohup bash experiments/launch/restart.sh \
../$name.log $(quoted "${words[@]//gs:\/\///mnt/gs/}") \
>/dev/null 2>&1 </dev/null &)"
}

follow() {
  on_worker 0 "tail --pid=\"\$(cat $name.log.pid)\" -n ${1:-+1} -F $name.log"
}

# Follows the run to its end, on other slices if need be.
attend() {
  local status lines=+1
  if "$dry_run"; then
    follow
    on_worker 0 "cat $name.log.status"
    return
  fi
  while true; do
    follow "$lines" || true
    status=$(on_worker 0 "cat $name.log.status" 2>/dev/null) || status=stopped
    if [[ $status != stopped ]]; then
      [[ $status == 0 ]] || fail "the training ended with status $status; the \
slice is still there, and costs: $0 delete $(quoted "$name" "${where[0]}")"
      return
    fi
    sleep "${LAUNCH_POLL_S:-30}"
    lines=20
    if [[ $(state || true) == ACTIVE ]]; then
      # Machines that were started again need the loop; a connection that broke
      # needs nothing.
      status=$(on_worker 0 "kill -0 \$(cat $name.log.pid) && echo on || echo off")
      [[ $status != off ]] || start
      continue
    fi
    give_back
    create
    wait_until_active
    set_up
    start
    lines=+1
  done
}

get_results() {
  run mkdir -p "runs/$name"
  run gcloud storage rsync --recursive "$workdir" "runs/$name"
}

case $action in
  run)
    [[ -n $type ]] || fail "give --type=, such as v5litepod-16"
    ((${#flags[@]})) || fail "give training flags behind --, such as --config="
    code=$(git -C "$here" rev-parse --verify --quiet "$commit^{commit}") ||
      fail "--commit=$commit: no commit of this repository"
    create
    wait_until_active
    set_up
    start
    attend
    if "$fetch"; then get_results; fi
    if "$delete"; then give_back; fi
    ;;
  logs) follow ;;
  fetch) get_results ;;
  delete) give_back ;;
esac
