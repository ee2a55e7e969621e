#!/usr/bin/env bash
# The same command on every host of a TPU pod slice; the first arguments are its name and zone:
#   experiments/launch/tpu_pod.sh my-pod us-central2-b --model facebook/opt-13b --out /mnt/shared/sst2
# Every host has this repository in ~/zojax, with jax[tpu] in its .venv; --out is a folder that all
# of them see (a mounted bucket, or Filestore).
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: $0 NAME ZONE [arguments of experiments.finetune]" >&2
  exit 2
fi
name=$1 zone=$2
shift 2

printf -v arguments ' %q' "$@"
gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all \
  --command="cd ~/zojax && .venv/bin/python -m experiments.finetune --distributed$arguments"
