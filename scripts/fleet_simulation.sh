#!/usr/bin/env bash
# The fleet's judgement in a simulated world, beside the rules of other tools; about five minutes on one core.
# Writes docs/measured/fleet-simulation.md. Every figure in it is simulated.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ ! -x .venv-tests/bin/python ] || PATH="$PWD/.venv-tests/bin:$PATH"
python3 -m tests.fleet.simulate docs/measured/fleet-simulation.md
echo "docs/measured/fleet-simulation.md"
