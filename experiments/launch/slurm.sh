#!/usr/bin/env bash
# One process for each GPU of two nodes with eight; the first arguments are those of finetune:
#   sbatch experiments/launch/slurm.sh --model facebook/opt-13b --task sst2 --out runs/sst2
# A job that is sent again, or requeued, continues from the latest checkpoint in --out, which has
# to be a folder that all nodes see.
#SBATCH --job-name=zojax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --output=%x-%j.log
set -euo pipefail

out=runs/finetune
for ((i = 1; i < $#; i++)); do
  if [ "${!i}" = --out ]; then
    next=$((i + 1))
    out=${!next}
  fi
done
resume=()
if [ -e "$out/settings.yaml" ]; then
  resume=(--resume)
fi

# The processes talk to each other directly, and a proxy would get in between.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY

# All tasks of a node see all of its GPUs (no --gpus-per-task): jax gives each its own.
srun --kill-on-bad-exit=1 "${PYTHON:-.venv/bin/python}" -m experiments.finetune --distributed "$@" ${resume[@]+"${resume[@]}"}
