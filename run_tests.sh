#!/usr/bin/env bash
# Set up a fresh machine and run the whole test suite.
#
#   step              the first time    again
#   1 environment     1-3 min           1 s
#   2 tests           3-6 min on 2 cores: most tests on all cores at once, then one at a time those that measure
#                     time or need the machine for themselves (markers alone and gpu)
#
# --all adds the tests that CI runs beside the quick ones (marker long). Options of pytest replace the two parts of
# step 2 by one call of pytest with these options.
#
# Usage: ./run_tests.sh [--all] [--python PATH] [--setup] [--no-install] [option of pytest]...
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$root/scripts/common.sh"

python="" setup_only="" install=yes long="" for_pytest=()
while [ $# -gt 0 ]; do
  case $1 in
    --python) [ $# -ge 2 ] || fail 2 "$1 needs a value"; python=$2; shift ;;
    --python=*) python=${1#*=} ;;
    --setup) setup_only=yes ;;
    --all) long=" and (long or not long)" ;;  # conftest.py leaves the long ones out unless they are named
    --no-install) install="" ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) for_pytest+=("$1") ;;
  esac
  shift
done

have_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

step "1/2 environment"
if [ -n "$install" ]; then
  base=$(choose_python "$python")
  python=$("$base" "$root/scripts/setup_env.py" --tests --venv "$root/.venv-tests")
  if ! have_browser >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      printf '  apt-get install chromium (the report is tested in a real browser) ...\n' >&2
      { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >/dev/null ||
        printf '  chromium could not be installed; the tests that open reports will be skipped\n' >&2
    else
      printf '  no chromium here; the tests that open reports will be skipped (install chromium to run them)\n' >&2
    fi
  fi
else
  [ -n "$python" ] || [ ! -x "$root/.venv-tests/bin/python" ] || python=$root/.venv-tests/bin/python
  base=$(choose_python "$python")
  python=$("$base" "$root/scripts/setup_env.py" --no-install --tests)
fi
[ -z "$setup_only" ] || { printf '%s\n' "$python"; exit 0; }

step "2/2 tests"
cd "$root"
[ ${#for_pytest[@]} -eq 0 ] || exec "$python" -m pytest "${for_pytest[@]}"

# Threads that wait must not spin: every core has a test of its own. A module stays in one process (loadscope), so that
# what its tests share is made once; tests/conftest.py puts the modules that take longest first.
code=0
OMP_WAIT_POLICY=passive "$python" -m pytest -n auto --maxprocesses=8 --dist=loadscope --no-loadscope-reorder --durations=10 \
  -m "not alone and not gpu$long" || code=$?
[ $code -le 1 ] || exit $code  # interrupted, or pytest itself failed
step "2/2 tests that run alone"
mapfile -t files < <(grep -rlE 'mark\.(alone|gpu)\b' tests --include='test_*.py')  # to collect all takes 10 s
"$python" -m pytest --durations=10 -m "(alone or gpu)$long" "${files[@]}" || code=$?
exit $code
