"""Runs and a baseline that several tests of the gate share."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.gate.baseline import Baseline
from quantroof.records.directory import Run
from tests.gate import made


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Ten simulated runs of unchanged code."""
    folder = tmp_path_factory.mktemp("history")
    return [made.simulated(folder / f"run-{seed}", seed) for seed in range(10)]


@pytest.fixture(scope="session")
def baseline(history: list[Run]) -> Baseline:
    """What they teach."""
    return made.learned(history)


@pytest.fixture(scope="session")
def now(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One more run of the same code, whose screen finds nothing."""
    return made.simulated(tmp_path_factory.mktemp("now") / "run", 99)


@pytest.fixture
def baseline_file(baseline: Baseline, tmp_path: Path) -> Path:
    """The baseline in a file."""
    from quantroof.gate import baseline as files

    files.write(baseline, tmp_path / "baseline.json")
    return tmp_path / "baseline.json"
