#!/usr/bin/env bash
# What a machine with an NVIDIA GPU should show: a suite with its ceilings, timing against hardware counters,
# repeatability, GPU tests. No network, no root. scripts/gpu_acceptance_plan.py gives every step its seconds, 250 in
# all, and the plan is printed first. A step that fails or runs out of time is noted, and the others go on. Not in CI.
#
# Usage: scripts/gpu_acceptance.sh OUT [--python PATH] [--device DEVICE]
# OUT gets tables (.tsv), logs, both runs and summary.md, which ends in a verdict; OUT.tgz has all of it.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/scripts/common.sh"
[ $# -ge 1 ] || fail 2 "scripts/gpu_acceptance.sh OUT [--python PATH] [--device DEVICE]: OUT is missing"
mkdir -p "$1" && out=$(cd "$1" && pwd) && [ -w "$out" ] || fail 2 "OUT $1: cannot be written"
[ ! -e "$out/first" ] || fail 2 "OUT $1: holds an acceptance already; name another"
shift
python="" device=cuda
while [ $# -gt 0 ]; do
  case "$1" in
    --python) python=${2:?--python needs a value}; shift 2 ;;
    --device) device=${2:?--device needs a value}; shift 2 ;;
    *) fail 2 "scripts/gpu_acceptance.sh: unknown option $1" ;;
  esac
done
python=$(choose_python "$python") || exit 3
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
# Triton compiles into the home directory, which a container's user may not have.
[ -w "${HOME:-/nonexistent}" ] || export TRITON_CACHE_DIR="$out/cache/triton" XDG_CACHE_HOME="$out/cache"
suite="$root/scripts/acceptance.toml"

pack() { tar -C "$(dirname "$out")" --exclude "$(basename "$out")/cache" -czf "$out.tgz" "$(basename "$out")"; }
trap pack EXIT
trap 'exit 130' INT TERM

"$python" -P "$root/scripts/gpu_acceptance_plan.py" "$suite" "$device" >"$out/plan.tsv" 2>"$out/plan.log" ||
  [ -s "$out/plan.tsv" ] || printf '%s\t60\tno plan: see plan.log\n' doctor suite counters again gpu_tests summary >"$out/plan.tsv"
column -t -s "$(printf '\t')" "$out/plan.tsv" >&2 2>/dev/null || cat "$out/plan.tsv" >&2
limit_of() { awk -F '\t' -v step="$1" '$1 == step { print $2 }' "$out/plan.tsv"; }

# attempt NAME COMMAND...: standard output to NAME.out, the rest to NAME.log, within the step's limit.
attempt() {
  local name=$1 began=$SECONDS limit rc; shift
  limit=$(limit_of "${name/timeline/counters}"); limit=${limit:-30}
  step "$name (at most $limit s)"
  timeout -k 5 "$limit" "$@" </dev/null >"$out/$name.out" 2>"$out/$name.log"; rc=$?
  [ "$rc" != 137 ] || rc=124
  printf '%s\t%s\t%s\n' "$name" "$rc" "$((SECONDS - began))" >>"$out/steps.tsv"
  [ "$rc" = 0 ] || echo "$name ended with $rc: $(tail -n 1 "$out/$name.log")" >&2
  return "$rc"
}
quantroof() { local name=$1; shift; attempt "$name" "$python" -P -m quantroof "$@"; }

printf 'step\texit_code\tseconds\n' >"$out/steps.tsv"
nvidia-smi -q >"$out/nvidia-smi.txt" 2>&1 </dev/null || true
case_limits=(--seconds 0.12 --case-timeout 20)
quantroof doctor doctor --json || true
quantroof suite run --suite "$suite" --device "$device" --out "$out/first" "${case_limits[@]}" || true
counters_s=$(limit_of counters); counters_s=$((${counters_s:-30} - 4))
[ "$counters_s" -ge 1 ] || counters_s=1
quantroof counters profile "$out/first" --limit 16 --time-limit "$counters_s" --json || {
  # Where there are no counters the timeline takes their time, unless they used it up.
  [ "$(awk -F '\t' '$1 == "counters" { print $2 }' "$out/steps.tsv")" = 124 ] ||
    quantroof timeline profile "$out/first" --limit 16 --time-limit "$counters_s" --timeline --json || true
}
quantroof again run --suite "$suite" --device "$device" --no-ceilings --out "$out/second" --quiet "${case_limits[@]}" || true
parallel=()
"$python" -P -c 'import xdist' 2>/dev/null && parallel=(-n 8)
cd "$root" && attempt gpu_tests "$python" -P -m pytest -q -m gpu -W default -p no:cacheprovider "${parallel[@]}" tests/quality/test_decode.py tests/kernels/test_triton_gpu.py tests/kernels/test_ceiling_sources.py || true
attempt summary "$python" -P "$root/scripts/gpu_acceptance_summary.py" "$out" || true
mv "$out/summary.out" "$out/summary.md"
grep -q "^VERDICT: " "$out/summary.md" || echo "VERDICT: undecided, the summary failed: see summary.log" >>"$out/summary.md"
cat "$out/summary.md"
