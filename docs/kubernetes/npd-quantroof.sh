#!/usr/bin/env bash
# A custom plugin of node-problem-detector (npd-quantroof.json): 0 is sound, 1 is a problem, all else is unknown.
# A GPU that a pod uses is not measured: the answer is then unknown, and the condition stays.
set -u
quantroof=${QUANTROOF:-quantroof}
read -r -a options <<<"${QUANTROOF_NPD_OPTIONS:-}"
"$quantroof" doctor --prolog --contract npd ${options[@]+"${options[@]}"} 2>/dev/null
code=$?
[ "$code" -le 1 ] || exit 2
exit "$code"
