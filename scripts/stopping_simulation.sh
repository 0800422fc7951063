#!/usr/bin/env bash
# How often the interval of a median holds it after the stopping rule; about half a minute on one core.
# Writes docs/measured/stopping.md. Every figure in it is simulated.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ ! -x .venv-tests/bin/python ] || PATH="$PWD/.venv-tests/bin:$PATH"
python3 -m tests.bench.stopping docs/measured/stopping.md
echo "docs/measured/stopping.md"
