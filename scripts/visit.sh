# Shared by gpu_bringup.sh and gpu_acceptance.sh; sourced, not run. Needs $root and $usage.

. "$root/scripts/common.sh"
python="" device=cuda wheels="" running=""

# Read OUT and the options that both scripts have; what is left is in $rest.
visit_options() {
  rest=()
  [ $# -ge 1 ] || fail 2 "$usage: OUT is missing"
  mkdir -p "$1" && out=$(cd "$1" && pwd) && [ -w "$out" ] || fail 2 "OUT $1: cannot be written"
  [ ! -e "$out/steps.tsv" ] || fail 2 "OUT $1: holds a visit already; name another"
  shift
  while [ $# -gt 0 ]; do
    case "$1" in
      --python) python=${2:?--python needs a value}; shift 2 ;;
      --device) device=${2:?--device needs a value}; shift 2 ;;
      --wheels) wheels=$(cd "${2:?--wheels needs a value}" && pwd) || fail 2 "--wheels $2: no such folder"; shift 2 ;;
      *) rest+=("$1"); shift ;;
    esac
  done
  python=$(choose_python "$python") || exit 3
}

# The environment of the steps, and an archive after each of them and whatever ends the script.
visit_begins() {
  export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
  if [ -n "$wheels" ]; then
    timeout 60 "$python" -P "$root/scripts/gpu_wheels.py" unpack "$wheels" "$out/cache/site" ||
      fail 3 "--wheels $wheels: cannot be unpacked"
    PYTHONPATH="$PYTHONPATH:$out/cache/site"
  fi
  # Triton compiles into the home directory, which a container's user may not have.
  [ -w "${HOME:-/nonexistent}" ] || export TRITON_CACHE_DIR="$out/cache/triton" XDG_CACHE_HOME="$out/cache"
  printf 'step\texit_code\tseconds\n' >"$out/steps.tsv"
  trap visit_ends EXIT
  trap 'exit 130' INT TERM
}

# The archive is replaced as a whole: what stands there can be read even if this script is killed.
pack() {
  tar -C "$(dirname "$out")" --exclude "$(basename "$out")/cache" -czf "$out.tgz.part" "$(basename "$out")" 2>/dev/null
  [ $? -le 1 ] && mv "$out.tgz.part" "$out.tgz"  # 1: a file grew meanwhile
}

visit_ends() {
  if [ -n "$running" ]; then
    printf '%s\t%s\t%s\n' "$running_name" interrupted "$((SECONDS - began))" >>"$out/steps.tsv"
    pack
    kill "$running" 2>/dev/null
    wait "$running"
  fi
  pack
}

# attempt NAME SECONDS COMMAND...: standard output to NAME.out, the rest to NAME.log, within the limit.
attempt() {
  local limit=$2 rc
  running_name=$1 began=$SECONDS; shift 2
  step "$running_name (at most $limit s)"
  # In the background, because a trap waits for what is in the foreground.
  timeout -k 5 "$limit" "$@" </dev/null >"$out/$running_name.out" 2>"$out/$running_name.log" &
  running=$!
  wait "$running"; rc=$?
  running=""
  [ "$rc" != 137 ] || rc=124
  printf '%s\t%s\t%s\n' "$running_name" "$rc" "$((SECONDS - began))" >>"$out/steps.tsv"
  [ "$rc" = 0 ] || echo "$running_name ended with $rc: $(tail -n 1 "$out/$running_name.log")" >&2
  pack
  return "$rc"
}

# The page of NAME.out becomes summary.md, is printed, and ends in a verdict.
conclude() {
  mv "$out/$1.out" "$out/summary.md"
  grep -q "^VERDICT: " "$out/summary.md" || echo "VERDICT: undecided, the summary failed: see $1.log" >>"$out/summary.md"
  cat "$out/summary.md"
}
