#!/usr/bin/env bash
# Trains on GPUs of a Slurm cluster.
#
#   launch_slurm.sh NAME [--nodes=1] [--gpus=8] [--time=24:00:00] [--dry-run] \
#     [--option=--account=A] -- --config=FILE --workdir=FOLDER [training flags]
#
# One process a GPU, --gpus of them on each node, makes one run; FOLDER is on a
# disk that all nodes see. Two minutes before its time is over, or when it is
# preempted, the job saves, and queues itself again until the run is finished.
# Its log is NAME.log. Each --option goes to sbatch as it is.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=experiments/launch/common.sh
source "$here/launch/common.sh"

name=${1:-}
[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || {
  usage "$0"
  exit 2
}
shift
nodes=1 gpus=8 limit=24:00:00 options=()
while (($#)); do
  case $1 in
    --nodes=*) nodes=${1#*=} ;;
    --gpus=*) gpus=${1#*=} ;;
    --time=*) limit=${1#*=} ;;
    --option=*) options+=("${1#*=}") ;;
    --dry-run) dry_run=true ;;
    --) shift && break ;;
    *) fail "unknown option $1; sbatch's own go into --option=" ;;
  esac
  shift
done
[[ " $* " == *' --workdir='* ]] ||
  fail "give --config=FILE --workdir=FOLDER behind --"

# All tasks of a node see all its GPUs: JAX gives each the one of its number.
run sbatch --job-name="$name" --output="$name.log" --open-mode=append \
  --nodes="$nodes" --ntasks-per-node="$gpus" --gpus-per-node="$gpus" \
  --time="$limit" --requeue --signal=B:USR1@120 \
  ${options[@]+"${options[@]}"} "$here/launch/slurm_job.sh" \
  "${PYTHON:-python}" -m distortion_removal.main --distributed "$@"
