"""The machine code of the kernels as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quantroof.records.lines import case_words
from quantroof.reports.text.table import table, titled
from quantroof.units import decimals

if TYPE_CHECKING:
    from rich.console import Group

    from quantroof.kernels.sass.table import Row

_HEADINGS = (
    "kernel", "case", "arch", "instruction", "regs", "spills", "shared", "loop", "per weight", "verdict",
)  # fmt: skip
_NUMBERS = _HEADINGS[4:9]


def machine_code_table(rows: Sequence[Row], triton_version: str) -> Group:
    """One row per kernel, case and architecture; for what was not compiled, the reason."""
    title = (
        f"machine code by triton {triton_version}; loop and per weight count instructions of the inner loop"
    )
    return titled(title, table(_HEADINGS, map(_cells, rows), right=_NUMBERS))


def _cells(row: Row) -> tuple[str, ...]:
    name = (row.kernel, case_words(row.case), row.arch)
    if row.status != "compiled":
        return (*name, row.status, *[""] * len(_NUMBERS), row.reason or "")
    numbers = (row.registers, row.spill_instructions, row.shared_bytes, row.loop_instructions)
    per_weight = "" if row.instructions_per_weight is None else decimals(row.instructions_per_weight)
    shown = ("" if number is None else str(number) for number in numbers)
    return (*name, row.instruction_class or "", *shown, per_weight, row.verdict or "ok")
