#!/usr/bin/env bash
# Slurm's Prolog: may a job start on this node? Name this file as Prolog= in slurm.conf, on every GPU node.
# Slurm drains the node and requeues the job for any exit code but 0. A check that could not decide, is not
# installed or was used wrongly exits 0: it must not drain a cluster. It needs neither root nor Slurm's commands.
# The node's first checks and its latest are kept in QUANTROOF_PAST (empty: nowhere) and compared with each new one.
set -u
quantroof=${QUANTROOF:-quantroof}
read -r -a options <<<"${QUANTROOF_PROLOG_OPTIONS:-}"
past=${QUANTROOF_PAST-/var/lib/quantroof/prolog}
if [ -n "$past" ] && mkdir -p -- "$past" 2>/dev/null && [ -w "$past" ]; then
    options=(--out "$past" ${options[@]+"${options[@]}"}) # an --out of the site comes later and wins
fi
line=$("$quantroof" doctor --prolog --contract slurm ${options[@]+"${options[@]}"} 2>/dev/null)
code=$?
[ -z "$line" ] || echo "$line"
[ "$code" -eq 1 ] || exit 0
exit 1
