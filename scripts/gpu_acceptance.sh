#!/usr/bin/env bash
# What a machine with an NVIDIA GPU should show: a suite with its ceilings, timing against hardware counters,
# repeatability, GPU tests. No network, no root. scripts/gpu_acceptance_plan.py gives every step its seconds, 250 in
# all, and the plan is printed first. A step that fails or runs out of time is noted, and the others go on. Not in CI.
#
# Usage: scripts/gpu_acceptance.sh OUT [--python PATH] [--device DEVICE] [--wheels DIR]
# OUT gets tables (.tsv), logs, both runs and summary.md, which ends in a verdict; OUT.tgz has all of it.
# --wheels: packages that this Python lacks, collected by scripts/gpu_wheels.py.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
usage="scripts/gpu_acceptance.sh OUT [--python PATH] [--device DEVICE] [--wheels DIR]"
. "$root/scripts/visit.sh"
visit_options "$@"
[ ${#rest[@]} = 0 ] || fail 2 "scripts/gpu_acceptance.sh: unknown option ${rest[0]}"
visit_begins
suite="$root/scripts/acceptance.toml"

timeout -k 1 30 "$python" -P "$root/scripts/gpu_acceptance_plan.py" "$suite" "$device" >"$out/plan.tsv" 2>"$out/plan.log" </dev/null ||
  [ -s "$out/plan.tsv" ] || printf '%s\t60\tno plan: see plan.log\n' machine doctor suite counters again gpu_tests summary >"$out/plan.tsv"
column -t -s "$(printf '\t')" "$out/plan.tsv" >&2 2>/dev/null || cat "$out/plan.tsv" >&2
limit_of() { awk -F '\t' -v step="$1" '$1 == step { print $2 }' "$out/plan.tsv" | grep . || echo 30; }
planned() { local name=$1; shift; attempt "$name" "$(limit_of "$name")" "$@"; }
quantroof() { local name=$1; shift; planned "$name" "$python" -P -m quantroof "$@"; }

! command -v nvidia-smi >/dev/null || planned machine nvidia-smi -q || true
within() { echo $(($1 > 5 ? $1 - 4 : 1)); }
case_limits=(--seconds 0.12 --case-timeout 20 --anyway)  # a busy machine is marked; a visit is for measuring
quantroof doctor doctor --json || true
quantroof suite run --suite "$suite" --device "$device" --out "$out/first" "${case_limits[@]}" || true
profile=("$python" -P -m quantroof profile "$out/first" --limit 16 --json)
counters_s=$(limit_of counters)
attempt counters "$counters_s" "${profile[@]}" --time-limit "$(within "$counters_s")" || {
  # Where there are no counters the timeline takes what is left of their time.
  left_s=$((counters_s - $(awk -F '\t' '$1 == "counters" { print $3 }' "$out/steps.tsv")))
  [ "$left_s" -lt 1 ] || attempt timeline "$left_s" "${profile[@]}" --time-limit "$(within "$left_s")" --timeline || true
}
quantroof again run --suite "$suite" --device "$device" --no-ceilings --out "$out/second" --quiet "${case_limits[@]}" || true
parallel=()
timeout 20 "$python" -P -c 'import xdist' 2>/dev/null && parallel=(-n 8)
cd "$root" && planned gpu_tests "$python" -P -m pytest -q -m gpu -W default -p no:cacheprovider "${parallel[@]}" tests/quality/test_decode.py tests/kernels/test_triton_gpu.py tests/kernels/test_ceiling_sources.py || true
planned summary "$python" -P "$root/scripts/gpu_acceptance_summary.py" "$out" || true
conclude summary
