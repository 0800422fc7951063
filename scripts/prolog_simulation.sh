#!/usr/bin/env bash
# `quantroof doctor --prolog` on thousands of simulated nodes; about 20 CPU minutes. scripts/acceptance runs it.
# Writes docs/measured/prolog.md. Every figure in it is simulated, except for the time of the start.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ ! -x .venv-tests/bin/python ] || PATH="$PWD/.venv-tests/bin:$PATH"
python3 -m tests.fleet.doors docs/measured/prolog.md "$@"
echo "docs/measured/prolog.md"
