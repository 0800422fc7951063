#!/usr/bin/env bash
# What a machine with an NVIDIA GPU should show: GPU tests, timing against hardware counters, repeatability,
# ceilings. No network; about 8 minutes on an H200. Not part of CI, which has no GPU.
#
#   step                                     about
#   1 tests marked gpu                       1 min
#   2 quick suite with ceilings              2 min
#   3 the same again: repeatability          1 min
#   4 counters against our timer, 20 cases   3 min
#   5 summary                                seconds
#
# Usage: scripts/gpu_acceptance.sh OUT [--python PATH]     writes its tables and summary.md to OUT
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/scripts/common.sh"
[ $# -ge 1 ] || fail 2 "scripts/gpu_acceptance.sh OUT [--python PATH]: OUT is missing"
out=$1 python=""
[ "${2:-}" != --python ] || python=${3:?--python needs a value}
python=$(choose_python "$python")
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
mkdir -p "$out"
quantroof() { "$python" -P -m quantroof "$@"; }

step "1/5 tests that need a GPU"
(cd "$root" && "$python" -m pytest -q -m gpu -p no:cacheprovider) 2>&1 | tee "$out/gpu_tests.txt" | tail -n 3 ||
  echo "some GPU tests failed: see gpu_tests.txt" >&2

step "2/5 quick suite"
quantroof doctor --json >"$out/doctor.json" || true
quantroof run --suite quick --device cuda --out "$out/first" >"$out/first.txt" || true

step "3/5 the same again"
quantroof run --suite quick --device cuda --no-ceilings --out "$out/second" --quiet >"$out/second.txt" || true

step "4/5 hardware counters"
quantroof profile "$out/first" --limit 24 --json >"$out/counters.json" ||
  echo "no counters here (ncu missing, or no permission)" >&2

step "5/5 summary"
"$python" "$root/scripts/gpu_acceptance_summary.py" "$out" | tee "$out/summary.md"
