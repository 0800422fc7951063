"""The roof guard of imports against counts that it had no part in, over the tables of aiconfigurator."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from pathlib import Path

import pytest

from quantroof.advisor.imports import aic_tables
from quantroof.advisor.imports.aiconfigurator import rows
from quantroof.advisor.imports.writing import IMPOSSIBLE, write_run
from quantroof.files import require
from quantroof.hwprofiles import catalog

# A checkout of github.com/ai-dynamo/aiconfigurator at 095f58a5, whose tables another program counted too.
CHECKOUT = os.environ.get("QUANTROOF_AICONFIGURATOR")
# Bytes of weights, 16-bit activations and output; scales are fp32 per output column or 128 x 128 block.
BYTES = """case gemm_dtype when 'bfloat16' then 2 * n * k when 'fp8' then n * k + 4 * n
    else n * k + 4 * ceil(n / 128) * (k / 128) end + 2.0 * m * k + 2.0 * m * n"""


def _aside(system: str, tables: list[aic_tables.Table], out: Path) -> Counter[str]:
    """What an import of every row of some tables sets aside, by reason."""
    profile, aside = catalog.profiles()[aic_tables.SYSTEMS[system]], Counter[str]()
    every = (row for table in tables for row in rows(table, profile, aside, every=True))
    write_run(out, profile, aic_tables.origin(tables), every, aside)
    return aside


@pytest.mark.long
@pytest.mark.skipif(
    importlib.util.find_spec(aic_tables.PACKAGE) is None, reason="aiconfigurator-core is not installed"
)
@pytest.mark.parametrize(
    ("system", "framework", "gbps"),
    [
        ("l40s", "sglang", 864),
        ("l40s", "vllm", 864),
        ("h100_sxm", "sglang", 3350),
        ("h100_sxm", "vllm", 3350),
    ],
)
def test_the_guard_counts_what_plain_arithmetic_counts(
    system: str, framework: str, gbps: int, tmp_path: Path
) -> None:
    """As many rows of a table are set aside as move their bytes faster than 1.02 of the datasheet allows."""
    table = aic_tables.pick(aic_tables.tables(aic_tables.root(None)), system, framework, None)[0]
    beyond = f"({BYTES}) / {gbps}e9 > 1.02 * latency * 1e-3 and gemm_dtype not in ('int8_wo', 'sq')"
    found = require("duckdb", "the test", "store").sql(f"select count(*) from '{table.path}' where {beyond}")

    assert _aside(system, [table], tmp_path / "run")[IMPOSSIBLE] == found.fetchall()[0][0]


@pytest.mark.long
@pytest.mark.skipif(CHECKOUT is None, reason="QUANTROOF_AICONFIGURATOR names no checkout")
@pytest.mark.parametrize(("system", "impossible"), [("l40s", 57_754), ("h100_sxm", 376)])
def test_the_guard_counts_what_another_program_counted(system: str, impossible: int, tmp_path: Path) -> None:
    """Over all versions of the tables; TensorRT-LLM's static rows are derived, and were not counted there."""
    found = aic_tables.tables(aic_tables.root(Path(CHECKOUT or "")))
    tables = [table for table in found if table.system == system]
    aside = _aside(system, tables, tmp_path / "run")

    assert aside[IMPOSSIBLE] == impossible
