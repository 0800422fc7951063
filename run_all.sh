#!/usr/bin/env bash
# Measure every device of this machine and write one HTML report; the last line on standard output is its path.
#
#   step              the first time                                again
#   1 environment     1-2 min; several with CUDA wheels to fetch    1 s
#   2 measure         quick about 20 s, default about 2 min on a CPU; the estimate is printed first
#   3 report          seconds
#
# It leaves bin/quantroof, which starts quantroof in this environment from any folder.
#
# Usage: ./run_all.sh [--suite quick|default|full|FILE] [--python PATH] [--setup] [--no-install] [option of `quantroof run`]...
#   --setup        stop after installing
#   --no-install   install nothing: use .venv, or the chosen Python, as it is (air-gapped nodes)
#   --python PATH  the interpreter to build on; a CUDA torch it has is kept, never replaced
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$root/scripts/common.sh"

suite=default python="" setup_only="" install=yes for_run=()
while [ $# -gt 0 ]; do
  case $1 in
    --suite | --python) [ $# -ge 2 ] || fail 2 "$1 needs a value" ;;&
    --suite) suite=$2; shift ;;
    --suite=*) suite=${1#*=} ;;
    --python) python=$2; shift ;;
    --python=*) python=${1#*=} ;;
    --setup) setup_only=yes ;;
    --no-install) install="" ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) for_run+=("$1") ;;
  esac
  shift
done

step "1/3 environment"
started=$SECONDS
if [ -n "$install" ]; then
  base=$(choose_python "$python")
  python=$("$base" "$root/scripts/setup_env.py")
else
  [ -n "$python" ] || [ ! -x "$root/.venv/bin/python" ] || python=$root/.venv/bin/python
  base=$(choose_python "$python")
  python=$("$base" "$root/scripts/setup_env.py" --no-install)
  export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
fi
launcher=$(write_launcher "$python")
quantroof() { "$launcher" "$@"; }
printf '   %d s\n' $((SECONDS - started)) >&2
[ -z "$setup_only" ] || { next "$launcher doctor"; printf '%s\n' "$python"; exit 0; }

step "2/3 measure: suite $suite"
started=$SECONDS
code=0
printed=$(quantroof run --anyway --suite "$suite" ${for_run[@]+"${for_run[@]}"}) || code=$?
[ -z "$printed" ] || printf '%s\n' "$printed"
printf '   %d s\n' $((SECONDS - started)) >&2
run=${printed##*$'\n'}
[ -f "$run/run.jsonl" ] || exit "$code"  # --dry-run, or an error that was told

step "3/3 report"
quantroof report "$run"
next "$launcher show $run"
exit "$code"
