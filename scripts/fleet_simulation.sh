#!/usr/bin/env bash
# The fleet's judgement in a simulated world, beside the rules of other tools; about ten minutes on one core.
# Writes docs/measured/fleet-simulation.md and fleet-spread.md. Every figure in it is simulated.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ ! -x .venv-tests/bin/python ] || PATH="$PWD/.venv-tests/bin:$PATH"
python3 -m tests.fleet.simulate docs/measured/fleet-simulation.md
python3 -m tests.fleet.healthy docs/measured/fleet-spread.md
echo "docs/measured/fleet-spread.md"
echo "docs/measured/fleet-simulation.md"
