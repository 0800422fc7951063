"""Machine code of every kernel for every architecture, against the promise and against the golden tables.

There is a golden table per version of Triton: the newest, with which the tests compile, and those that torch
2.13 and 2.11 bring to GPU nodes. Under any other version the promises still hold, and no table is compared.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import triton

from quantroof.kernels.sass import table
from quantroof.kernels.sass.nvrtc import nvrtc_version
from quantroof.kernels.sass.table import Row, declared

_DATA = Path(__file__).parents[1] / "data"
_CUDA = ("cupy.int4",)
_GOLDEN = {
    "3.9.0": _DATA / "machine_code.json",
    "3.7.1": _DATA / "machine_code_3.7.1.json",
    "3.6.0": _DATA / "machine_code_3.6.0.json",
}


def _golden(version: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_GOLDEN[version].read_text())
    assert document["triton"] == version
    return document


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    """The committed table of the Triton that is installed."""
    if triton.__version__ not in _GOLDEN:
        pytest.skip(f"golden tables are of triton {', '.join(_GOLDEN)}, this is {triton.__version__}")
    return _golden(triton.__version__)


def test_every_kernel_keeps_its_promise(machine_code: list[Row]) -> None:
    """Declared instruction class, no spills, within the budget of a weight, or a Skip with its reason."""
    assert [row for row in machine_code if row.verdict is not None] == []
    assert all(row.reason for row in machine_code if row.status == "skipped")


def test_every_compiled_architecture_declares_its_class(machine_code: list[Row]) -> None:
    """Every compiled row has a declaration that it is compared with."""
    assert [row for row in machine_code if row.status == "compiled" and row.expected is None] == []


def test_int4_gemv_takes_at_most_3_instructions_per_weight_on_hopper(machine_code: list[Row]) -> None:
    """An H200 leaves 3.9 instructions per weight at full bandwidth; the budget is 3.0."""
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
    if nvrtc_version() != golden["nvrtc"]:  # another version of the compiler of CUDA C++
        committed, now = (
            {k: row for k, row in table.items() if k[0] not in _CUDA} for table in (committed, now)
        )
    assert committed.keys() == now.keys()
    assert {k: now[k] for k in now if now[k] != committed[k]} == {}


def test_all_tritons_compile_to_the_same_classes_without_spills() -> None:
    """Versions differ in counts; in class only for int8 on sm_100a, which has tcgen05 since 3.8."""
    new, *older = ({_key(row): row for row in _golden(version)["rows"]} for version in _GOLDEN)
    for old in older:
        assert old.keys() == new.keys()
        differ = {k for k in old if old[k].get("instruction_class") != new[k].get("instruction_class")}
        assert {(kernel, arch) for kernel, _, arch in differ} == {
            ("triton.int8", "sm_100a"),
            ("triton.quant+int8", "sm_100a"),
        }
    assert [k for table in (new, *older) for k, row in table.items() if row.get("verdict")] == []


@pytest.mark.parametrize(
    ("found", "expected", "fits"),
    [
        ("matrix:HMMA", "matrix:HMMA", True),
        ("matrix:IMMA", "matrix:HMMA", False),
        ("matrix:UTCIMMA", "matrix:IMMA|UTCIMMA", True),
        ("matrix:IMMA", "matrix:IMMA|UTCIMMA", True),
        ("matrix:HMMA", "matrix:IMMA|UTCIMMA", False),
        ("simt:FFMA", "simt", True),
        ("matrix:HMMA", "simt", False),
        (None, "simt", False),
    ],
)
def test_a_class_is_one_of_the_declared(found: str | None, expected: str, fits: bool) -> None:
    """One opcode, one of two where compilers differ, or any opcode of a unit."""
    assert table._is_class(found, expected) == fits


def test_kernels_with_device_code_of_ours_are_all_declared() -> None:
    """Every kernel of the providers triton and cupy is in the table."""
    from quantroof.kernels import registry

    ours = {k.name for k in registry.load().kernels.values() if k.provider in ("triton", "cupy")}
    assert ours == {k.name for k in declared()}


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["kernel"], row["case"], row["arch"]
