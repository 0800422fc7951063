#!/usr/bin/env bash
# The regression gate end to end, with real commands, worktrees and fresh processes; writes docs/measured/gate.md.
#   scripts/gate_acceptance.sh [SLOWED UNCHANGED]     tries on this machine's CPU; default 10 and 20, about an hour
# Run it on a quiet machine: a try whose environment was invalid is listed as such, and another follows it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ ! -x .venv-tests/bin/python ] || PATH="$PWD/.venv-tests/bin:$PATH"

out=docs/measured/gate.md
printf '# The gate end to end\n\n`scripts/gate_acceptance.sh` at commit %s.\n\n' "$(git describe --always --dirty)" >"$out"
python3 -m tests.gate.acceptance simulated --slowed 20 --unchanged 20 --out "$out"
python3 -m tests.gate.acceptance cpu --slowed "${1:-10}" --unchanged "${2:-20}" --out "$out"
echo "$out"
