#!/usr/bin/env bash
# The first minutes on a new kind of GPU: the self-test finds what fails, one small run shows that workers hold.
#
# Usage: scripts/gpu_bringup.sh OUT [--python PATH] [--device DEVICE] [--wheels DIR] [--seconds N] [--suite FILE]
# OUT gets selftest.jsonl with whole tracebacks, logs, a run and summary.md of at most 60 lines, which ends in a
# verdict; OUT.tgz has all of it. Exit code 1: something failed. About 4 minutes: N (200) for the self-test, a third
# of it for the run of FILE (scripts/bringup.toml). --wheels: packages that this Python lacks, see scripts/gpu_wheels.py.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
usage="scripts/gpu_bringup.sh OUT [--python PATH] [--device DEVICE] [--wheels DIR] [--seconds N] [--suite FILE]"
. "$root/scripts/visit.sh"
visit_options "$@"
seconds=200 suite="$root/scripts/bringup.toml"
set -- "${rest[@]}"
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=${2:?--seconds needs a value}; shift 2 ;;
    --suite) suite=${2:?--suite needs a value}; shift 2 ;;
    *) fail 2 "scripts/gpu_bringup.sh: unknown option $1" ;;
  esac
done
visit_begins

for tool in "nvidia-smi -q" "cc --version" "ncu --version" "df -h /tmp" "free -g" nproc "uname -a"; do
  printf '== %s\n' "$tool"; timeout -k 1 10 $tool </dev/null 2>&1
done >"$out/machine.txt"
attempt doctor "$((seconds + seconds / 8 + 2))" "$python" -P -m quantroof doctor --self-test --device "$device" --out "$out" --time-limit "$seconds"
attempt run "$((seconds * 3 / 10 + 1))" "$python" -P -m quantroof run --suite "$suite" --device "$device" --no-ceilings --case-timeout 20 --anyway --quiet --out "$out/run"
attempt summary 20 "$python" -P "$root/scripts/gpu_bringup_summary.py" "$out"
conclude summary
grep -q "^VERDICT: everything" "$out/summary.md"
