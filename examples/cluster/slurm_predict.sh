#!/usr/bin/env bash
# A folder of images or videos, shared by the GPUs of several nodes:
#   sbatch examples/cluster/slurm_predict.sh MODEL FOLDER OUT
# Submitted again after a kill, it goes on with the files that are missing.
#SBATCH --job-name=segshift-predict
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --requeue
set -euo pipefail
model=$1 folder=$2 out=$3

master=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export OMP_NUM_THREADS=1

srun --kill-on-bad-exit=1 torchrun \
    --nnodes="$SLURM_NNODES" --nproc_per_node="${SLURM_GPUS_ON_NODE:-4}" \
    --rdzv_id="$SLURM_JOB_ID" --rdzv_backend=c10d --rdzv_endpoint="$master:29500" \
    -m segshift.cli predict "$model" "$folder" --out "$out" --skip-bad
