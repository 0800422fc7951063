"""Files that the first version wrote are still read, with the same figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from quantroof.cli.main import cli

DATA = Path(__file__).parent / "data" / "first_format"


def _document(*arguments: str) -> Any:
    """Run a command with --json and return its document."""
    ran = CliRunner().invoke(cli, [*arguments, "--json"], catch_exceptions=False)
    return json.loads(ran.stdout)


def _stored(name: str) -> Any:
    return json.loads((DATA / name).read_text())


@pytest.mark.parametrize("name", ["cpu", "sim"])
def test_a_run_gives_the_same_rows(name: str) -> None:
    """Every column that the first version derived from a run has the same value today."""
    directory = {"cpu": "cpu", "sim": "sim-5"}[name]
    rows = _document("show", str(DATA / directory))["measurements"]
    was = _stored(f"show_{name}.json")

    assert len(rows) == len(was) > 0
    for now, then in zip(rows, was, strict=True):
        assert {key: now[key] for key in then} == then


def test_a_baseline_gives_the_same_changes() -> None:
    """A run judged by a stored baseline shows the same change, interval and threshold per case."""
    judged = _document("gate", "check", str(DATA / "sim-5"), "--baseline", str(DATA / "baseline.json"))
    now = {(row["case"], row["kernel"]): row for row in judged["judgements"]}

    for then in _stored("gate_check.json"):
        row = now[then["case"], then["kernel"]]
        assert {key: row[key] for key in then} == then


def test_a_parquet_part_gives_the_same_levels() -> None:
    """A compacted sweep places every GPU at the same distance from its siblings."""
    pytest.importorskip("duckdb")
    document = _document("fleet", str(DATA / "part.parquet"))
    now = {gpu["device"]: gpu["against_siblings"] for node in document["nodes"] for gpu in node["gpus"]}

    was = _stored("fleet.json")
    assert len(was) == 6
    for device, levels in was.items():
        assert now[device] == pytest.approx(levels)
