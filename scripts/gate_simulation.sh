#!/usr/bin/env bash
# The regression gate in simulated worlds, beside the rules of other tools; about four minutes on one core.
# Writes docs/measured/gate-simulation.md. Every figure in it is simulated.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ ! -x .venv-tests/bin/python ] || PATH="$PWD/.venv-tests/bin:$PATH"
python3 -m tests.gate.simulate docs/measured/gate-simulation.md
echo "docs/measured/gate-simulation.md"
