# Shared by run_all.sh and run_tests.sh; sourced, not run. Needs $root.

fail() { printf 'error: %s\n' "$2" >&2; exit "$1"; }

step() { printf '\n== %s\n' "$*" >&2; }

# By what it prints: any program may end with 0.
new_enough() { [ "$("$1" -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null)" = True ]; }

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

# Write bin/quantroof, which runs quantroof with a Python from any folder, and print the path to type.
# -P: a file in the caller's folder shadows no module.
write_launcher() {
  mkdir -p "$root/bin"
  printf '#!/bin/sh\nPYTHONPATH="%s${PYTHONPATH:+:$PYTHONPATH}" exec "%s" -P -m quantroof "$@"\n' "$root" "$1" >"$root/bin/quantroof"
  chmod +x "$root/bin/quantroof"
  if [ "$PWD" = "$root" ]; then echo bin/quantroof; else echo "$root/bin/quantroof"; fi
}

next() { printf '\nnext: %s\n' "$*" >&2; }
