#!/usr/bin/env bash
# One run on several nodes under SLURM: sbatch examples/cluster/slurm.sh RECIPE RUN_FOLDER [--set a.b=c ...]
# The run folder and the data have to be visible from all nodes. A job that is requeued, or submitted again, goes on.
#SBATCH --job-name=segshift
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --requeue
# Two minutes before the time is over this script is told, and puts the job back into the queue.
#SBATCH --signal=B:TERM@120
set -euo pipefail
recipe=$1 out=$2
shift 2

master=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# Loader processes share the cores with the training processes.
export OMP_NUM_THREADS=1

srun --kill-on-bad-exit=1 torchrun \
    --nnodes="$SLURM_NNODES" --nproc_per_node="${SLURM_GPUS_ON_NODE:-4}" \
    --rdzv_id="$SLURM_JOB_ID" --rdzv_backend=c10d --rdzv_endpoint="$master:29500" \
    --max-restarts=3 \
    -m segshift.cli train "$recipe" --out "$out" --resume "$@" &
run=$!

# The run saves and ends when it is asked to.
again() {
    kill -TERM "$run"
    wait "$run" || true
    scontrol requeue "$SLURM_JOB_ID"
}
trap again TERM
wait "$run"
