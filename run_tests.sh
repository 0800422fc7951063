#!/usr/bin/env bash
# Set up a fresh machine and run the whole test suite; everything else on the line goes to pytest.
#
#   step              the first time    again
#   1 environment     1-3 min           1 s
#   2 tests           < 10 min on 2 cores; on a GPU the tests marked gpu run too
#
# Usage: ./run_tests.sh [--python PATH] [--setup] [--no-install] [option of pytest]...
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$root/scripts/common.sh"

python="" setup_only="" install=yes for_pytest=()
while [ $# -gt 0 ]; do
  case $1 in
    --python) [ $# -ge 2 ] || fail 2 "$1 needs a value"; python=$2; shift ;;
    --python=*) python=${1#*=} ;;
    --setup) setup_only=yes ;;
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
exec "$python" -m pytest ${for_pytest[@]+"${for_pytest[@]}"}
