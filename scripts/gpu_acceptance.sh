#!/usr/bin/env bash
# What a machine with an NVIDIA GPU should show: the quick suite with its ceilings, timing against hardware
# counters, repeatability, GPU tests. No network, no root; under 8 minutes, because every step has a limit and
# all of them share one. A step that fails or runs out of time is noted, and the others go on. Not part of CI.
#
#   step                                        at most
#   1 devices                                    30 s
#   2 quick suite with ceilings                 150 s
#   3 counters (else a timeline), 24 cases       90 s
#   4 the suite again: repeatability            100 s
#   5 tests marked gpu                          120 s
#   6 summary                                    20 s
#
# Usage: scripts/gpu_acceptance.sh OUT [--python PATH]     tables (.tsv), logs and summary.md land in OUT
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/scripts/common.sh"
[ $# -ge 1 ] || fail 2 "scripts/gpu_acceptance.sh OUT [--python PATH]: OUT is missing"
mkdir -p "$1" && out=$(cd "$1" && pwd) && [ -w "$out" ] || fail 2 "OUT $1: cannot be written"
[ ! -e "$out/first" ] || fail 2 "OUT $1: holds an acceptance already; name another"
python=""
[ "${2:-}" != --python ] || python=${3:?--python needs a value}
python=$(choose_python "$python") || exit 3
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
# Triton compiles into the home directory, which a container's user may not have.
[ -w "${HOME:-/nonexistent}" ] || export TRITON_CACHE_DIR="$out/cache/triton" XDG_CACHE_HOME="$out/cache"
total=460

# attempt NAME SECONDS COMMAND...: standard output to NAME's file if it has one, the rest to its log.
attempt() {
  local name=$1 limit=$2 left=$((total - SECONDS)) began=$SECONDS rc; shift 2
  step "$name (at most $limit s)"
  [ "$limit" -le "$left" ] || limit=$left
  if [ "$limit" -lt 5 ]; then rc=124; else
    timeout -k 10 "$limit" "$@" </dev/null >"$out/$name.out" 2>"$out/$name.log"; rc=$?
  fi
  printf '%s\t%s\t%s\n' "$name" "$rc" "$((SECONDS - began))" >>"$out/steps.tsv"
  [ "$rc" = 0 ] || echo "$name ended with $rc: $(tail -n 1 "$out/$name.log")" >&2
  return "$rc"
}
quantroof() { local name=$1 limit=$2; shift 2; attempt "$name" "$limit" "$python" -P -m quantroof "$@"; }

printf 'step\texit_code\tseconds\n' >"$out/steps.tsv"
quantroof doctor 30 doctor --json || true
quantroof suite 150 run --suite quick --device cuda --out "$out/first" || true
quantroof counters 90 profile "$out/first" --limit 24 --time-limit 80 --json ||
  quantroof timeline 60 profile "$out/first" --limit 24 --time-limit 50 --timeline --json || true
quantroof again 100 run --suite quick --device cuda --no-ceilings --out "$out/second" --quiet || true
cd "$root" && attempt gpu_tests 120 "$python" -P -m pytest -q -m gpu -W default -p no:cacheprovider || true
total=$((SECONDS + 30))
attempt summary 20 "$python" "$root/scripts/gpu_acceptance_summary.py" "$out" || true
mv "$out/summary.out" "$out/summary.md" && cat "$out/summary.md"
