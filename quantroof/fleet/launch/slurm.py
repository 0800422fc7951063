"""A plain sbatch script: one exclusive job per node, requeued, its run resumed after a failure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from quantroof.errors import UsageError
from quantroof.fleet.launch.options import LaunchOptions

_NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")

_SCRIPT = """\
#!/usr/bin/env bash
# Run `bash {file}` to submit one job per node; Slurm starts this same script there.
#SBATCH --job-name={name}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --exclusive
#SBATCH --gpus-per-node={gpus}
#SBATCH --time={minutes}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@60
set -euo pipefail
folder={folder}
nodes=({nodes})

if [ -z "${{SLURM_JOB_ID:-}}" ]; then
  mkdir -p "$folder"
  for node in "${{nodes[@]}}"; do
    sbatch --nodelist="$node" --output="$folder/$node.log" "$@" "${{BASH_SOURCE[0]}}"
  done
  printf '%s\\n' "${{nodes[@]}}" > "$folder/nodes.txt"
  echo "judge with: quantroof fleet $folder --expect $folder/nodes.txt"
  exit
fi

run="$folder/run-$SLURMD_NODENAME"
code=1
for attempt in {attempts}; do
  code=0
  if [ -e "$run/run.jsonl" ]; then
    quantroof run --quiet --resume "$run" & child=$!
  else
    quantroof run --quiet --device {device} --out "$run" {options} & child=$!
  fi
  # Slurm warns a minute before the limit: the run ends cleanly and keeps what it measured.
  trap 'kill -TERM "$child"; wait "$child" || true; exit 143' TERM
  wait "$child" || code=$?
  # 0 (ok) and 1 (a kernel failed) are complete runs; 2 (usage) does not improve by another attempt.
  if [ "$code" -le 2 ]; then exit "$code"; fi
  echo "attempt $attempt ended with exit code $code" >&2
done
exit "$code"
"""


def sbatch_script(options: LaunchOptions, nodes: Sequence[str], file: str = "sweep.sh") -> str:
    """The script for these nodes; UsageError for no nodes, or an invalid host name."""
    if not nodes:
        raise UsageError("no nodes to start on", hint="give --nodes node-1,node-2 or --nodes FILE")
    for node in nodes:
        if not _NODE.fullmatch(node):
            raise UsageError(f"'{node}' is not a host name")
    return _SCRIPT.format(
        file=shlex.quote(file),
        name=options.name,
        gpus=options.gpus,
        minutes=options.minutes,
        folder=shlex.quote(options.folder),
        nodes=" ".join(nodes),
        attempts=" ".join(str(n) for n in range(1, options.retries + 2)),
        device=shlex.quote(options.device),
        options=shlex.join(options.run_options),
    )
