"""Machine code of every kernel for every architecture, against the promise and against the golden table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import triton

from quantroof.kernels.sass.table import Row, declared

_GOLDEN = Path(__file__).parents[1] / "data" / "machine_code.json"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    """The committed table, of the Triton version that it names."""
    document: dict[str, Any] = json.loads(_GOLDEN.read_text())
    if document["triton"] != triton.__version__:
        pytest.skip(f"the golden table is of triton {document['triton']}, this is {triton.__version__}")
    return document


def test_every_kernel_keeps_its_promise(machine_code: list[Row]) -> None:
    """Declared instruction class, no spills, within the budget of a weight, or a Skip that says why."""
    assert [row for row in machine_code if row.verdict is not None] == []
    assert all(row.reason for row in machine_code if row.status == "skipped")


def test_every_compiled_architecture_declares_its_class(machine_code: list[Row]) -> None:
    """No row was compiled without a declaration to hold it to."""
    assert [row for row in machine_code if row.status == "compiled" and row.expected is None] == []


def test_int4_gemv_takes_at_most_3_instructions_a_weight_on_hopper(machine_code: list[Row]) -> None:
    """An H200 leaves 3.9 instructions a weight at full bandwidth; the budget is 3.0."""
    (row,) = [
        r
        for r in machine_code
        if r.arch == "sm_90a"
        and r.case == "gemv/int4.g128-bf16-bf16/m1-n4096-k4096"
        and r.kernel == "triton.int4"
    ]
    assert row.instructions_per_weight is not None
    assert row.instructions_per_weight <= 3.0


def test_the_golden_table_is_what_compiles_today(machine_code: list[Row], golden: dict[str, Any]) -> None:
    """A change is a reviewed difference: `quantroof compile --json > tests/data/machine_code.json`."""
    committed = {_key(row): row for row in golden["rows"]}
    now = {_key(row): row for row in msgspec.to_builtins(machine_code)}
    assert committed.keys() == now.keys()
    assert {k: now[k] for k in now if now[k] != committed[k]} == {}


def test_kernels_with_triton_device_code_are_all_declared() -> None:
    """Every kernel of the provider triton is in the table."""
    from quantroof.kernels import registry

    ours = {k.name for k in registry.load().kernels.values() if k.provider == "triton"}
    assert ours == {k.name for k in declared()}


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["kernel"], row["case"], row["arch"]
