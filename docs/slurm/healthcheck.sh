#!/usr/bin/env bash
# Slurm's HealthCheckProgram: name this file in slurm.conf with HealthCheckNodeState=IDLE, so that it does not run
# beside a job. slurmd ignores its exit code and ends it after 60 s: the script itself drains the node.
# It shares the node's past (QUANTROOF_PAST) with prolog.sh.
set -u
quantroof=${QUANTROOF:-quantroof}
read -r -a options <<<"${QUANTROOF_HEALTHCHECK_OPTIONS:-}"
past=${QUANTROOF_PAST-/var/lib/quantroof/prolog}
if [ -n "$past" ] && mkdir -p -- "$past" 2>/dev/null && [ -w "$past" ]; then
    options=(--out "$past" ${options[@]+"${options[@]}"}) # an --out of the site comes later and wins
fi
line=$("$quantroof" doctor --prolog --contract slurm ${options[@]+"${options[@]}"} 2>/dev/null)
code=$?
[ -z "$line" ] || echo "$line"
[ "$code" -eq 1 ] || exit 0
[ -n "$line" ] || exit 0
"${SCONTROL:-scontrol}" update nodename="${SLURMD_NODENAME:-$(hostname -s)}" state=drain reason="$line"
