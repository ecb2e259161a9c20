#!/usr/bin/env bash
# Sets up one worker of a slice: tpu_worker.sh [BUCKET...]
#
# Installs the package in this copy of the code, with JAX for TPUs, and mounts
# each bucket of Cloud Storage at /mnt/gs/BUCKET. It can be run again.

set -euo pipefail
cd "$(dirname "$0")/../.."

# The machines' own Python is older than the package allows; uv brings one.
PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --user uv
uv=$HOME/.local/bin/uv
"$uv" venv --quiet --allow-existing --python 3.12 .venv
"$uv" pip install --quiet --python .venv/bin/python \
  --constraint requirements.lock --editable '.[tpu]'

if (($#)) && ! command -v gcsfuse >/dev/null; then
  key=/usr/share/keyrings/cloud.google.asc
  source="deb [signed-by=$key] https://packages.cloud.google.com/apt"
  curl -fsSL https://packages.cloud.google.com/apt/doc/apt-key.gpg |
    sudo tee "$key" >/dev/null
  printf '%s gcsfuse-%s main\n' "$source" "$(lsb_release -cs)" |
    sudo tee /etc/apt/sources.list.d/gcsfuse.list >/dev/null
  # A machine that has just started may still be updating itself.
  wait=(-o DPkg::Lock::Timeout=600)
  sudo apt-get "${wait[@]}" update -qq
  sudo apt-get "${wait[@]}" install -y -qq gcsfuse >/dev/null
fi
for bucket; do
  folder=/mnt/gs/$bucket
  if mountpoint -q "$folder"; then
    continue
  fi
  sudo mkdir -p "$folder"
  sudo chown "$(id -un)" "$folder"
  # All workers see at once what one of them writes, and what is synchronised
  # to the disk is in the bucket.
  gcsfuse --implicit-dirs --metadata-cache-ttl-secs=0 \
    --enable-streaming-writes=false --rename-dir-limit=100000 \
    "$bucket" "$folder"
done
