#!/usr/bin/env bash
# The first minutes on a new kind of GPU: the self-test finds what fails, one small run shows that workers hold.
#
# Usage: scripts/gpu_bringup.sh OUT [--python PATH] [--device DEVICE]
# OUT gets selftest.jsonl with whole tracebacks, logs and a run; OUT.tgz has all of it. About 4 minutes.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/scripts/common.sh"
[ $# -ge 1 ] || fail 2 "scripts/gpu_bringup.sh OUT [--python PATH] [--device DEVICE]: OUT is missing"
mkdir -p "$1" && out=$(cd "$1" && pwd) && [ -w "$out" ] || fail 2 "OUT $1: cannot be written"
shift
python="" device=cuda
while [ $# -gt 0 ]; do
  case "$1" in
    --python) python=${2:?--python needs a value}; shift 2 ;;
    --device) device=${2:?--device needs a value}; shift 2 ;;
    *) fail 2 "scripts/gpu_bringup.sh: unknown option $1" ;;
  esac
done
python=$(choose_python "$python") || exit 3
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
trap 'tar -C "$(dirname "$out")" -czf "$out.tgz" "$(basename "$out")"' EXIT
trap 'exit 130' INT TERM

for tool in "nvidia-smi -q" "cc --version" "ncu --version" "df -h /tmp" "free -g" nproc "uname -a"; do
  printf '== %s\n' "$tool"; timeout 20 $tool </dev/null 2>&1
done >"$out/machine.txt"
timeout -k 5 230 "$python" -P -m quantroof doctor --self-test --device "$device" --out "$out" --time-limit 200 \
  2>"$out/doctor.log" | tee "$out/doctor.out"
rc=${PIPESTATUS[0]}
timeout -k 5 60 "$python" -P -m quantroof run --suite "$root/scripts/acceptance.toml" --device "$device" --no-ceilings \
  --seconds 0.05 --case-timeout 20 --quiet --out "$out/run" >"$out/run.out" 2>"$out/run.log" ||
  echo "the run ended with $?: $(tail -n 1 "$out/run.log")"
exit "$rc"
