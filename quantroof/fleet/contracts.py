"""How hosts read a check of a node: the exit code that each of them expects for a state.

Slurm drains a node and requeues the job for any code but 0, so a check that could not decide lets the job
start. NVSentinel's preflight checks and validation tests, and node-problem-detector's plugins, know a code
for "could not be decided".
"""

from __future__ import annotations

from typing import Literal, get_args

from quantroof.analysis.verdicts import State, exit_code

Contract = Literal["exit", "slurm", "nvsentinel", "npd"]
CONTRACTS: tuple[Contract, ...] = get_args(Contract)
_CODES: dict[Contract, dict[State, int]] = {
    "exit": {state: int(exit_code(state)) for state in ("ok", "degraded", "failed", "unknown")},
    "slurm": {"ok": 0, "degraded": 1, "failed": 1, "unknown": 0},
    "nvsentinel": {"ok": 0, "degraded": 1, "failed": 1, "unknown": 2},
    "npd": {"ok": 0, "degraded": 1, "failed": 1, "unknown": 2},
}


def code_for(state: State, contract: Contract) -> int:
    """The exit code of a state by a contract."""
    return _CODES[contract][state]
