# Shared by run_all.sh and run_tests.sh; sourced, not run. Needs $root.

fail() { printf 'error: %s\n' "$2" >&2; exit "$1"; }

step() { printf '\n== %s\n' "$*" >&2; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# The Python to build on: the one that was named, else the first of the usual names that is new enough.
choose_python() {
  local wanted=$1 name
  if [ -n "$wanted" ]; then
    command -v "$wanted" >/dev/null || fail 3 "--python $wanted: no such program"
    new_enough "$wanted" || fail 3 "--python $wanted: Python 3.11 or newer is needed"
    command -v "$wanted"
    return
  fi
  for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
    if command -v "$name" >/dev/null && new_enough "$name"; then command -v "$name"; return; fi
  done
  fail 3 "no Python 3.11 or newer found (name one with --python PATH)"
}
