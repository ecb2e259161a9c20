#!/usr/bin/env bash
# Trains on the GPUs of this machine, and restarts what fails.
#
#   launch_gpu.sh [--gpus=0,1,2,3] [--log=FILE] [--dry-run] -- --config=FILE \
#     [training flags]
#
# One process uses all GPUs, or those of --gpus; config.batch_size is their
# common one, a multiple of their number. The log is also kept in FILE (default:
# runs/train.log). Ctrl-C stops it; the same command goes on.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=experiments/launch/common.sh
source "$here/launch/common.sh"

gpus='' log=runs/train.log
while (($#)); do
  case $1 in
    --gpus=*) gpus=${1#*=} ;;
    --log=*) log=${1#*=} ;;
    --dry-run) dry_run=true ;;
    --) shift && break ;;
    *) usage "$0" && exit 2 ;;
  esac
  shift
done
(($#)) || fail "give training flags behind --, such as --config="

words=(bash "$here/launch/restart.sh" "$log")
words+=("${PYTHON:-python}" -m distortion_removal.main "$@")
[[ -z $gpus ]] || words=(env CUDA_VISIBLE_DEVICES="$gpus" "${words[@]}")
run "${words[@]}"
