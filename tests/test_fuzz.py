"""A broken file costs one line and a documented exit code, whatever is broken; no gate passes on it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import fuzz_targets
from tests.fuzz import fault, mutate
from tests.fuzz_targets import TARGETS, Target

ALL = 10_000
FIGURES = Path(__file__).parent.parent / "docs" / "measured" / "fuzz.md"
CHEAP = {
    "run, shown": 40,
    "run, compared": 30,
    "run, exported": 30,
    "run, as Markdown": 20,
    "config.json": 40,
    "guidellm": 40,
    "vllm bench": 40,
    "points": 30,
    "baseline": 20,
    "policy": 20,
}
"""How many faults the quick suite plants in the kinds of files that cost the least time."""


def _faults(target: Target, count: int, folder: Path, slow: Path) -> list[str]:
    """What went wrong with so many mutations, each with the seed that makes it again."""
    wrong = []
    for seed in range(count):
        data = mutate(target.content(), random.Random(f"{target.name}/{seed}"))
        if text := fault(target, data, folder, slow):
            wrong.append(f"{target.name}, seed {seed}: {text}")
    return wrong


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run three times as slow as the baseline."""
    return fuzz_targets.slow_run(tmp_path_factory.mktemp("slow") / "run")


@pytest.mark.parametrize(
    "target", [target for target in TARGETS if target.name in CHEAP], ids=lambda target: target.name
)
def test_a_broken_file_costs_a_line(target: Target, tmp_path: Path, slow: Path) -> None:
    """A valid file is read without a fault, and so are its mutations."""
    assert fault(target, target.content(), tmp_path / "valid", slow) is None
    assert _faults(target, CHEAP[target.name], tmp_path / "broken", slow) == []


@pytest.mark.slow
def test_ten_thousand_broken_files(tmp_path: Path, slow: Path) -> None:
    """Every kind of file that a command reads; the figures go to docs/measured/fuzz.md."""
    pytest.importorskip("duckdb")
    store = Target("history store", fuzz_targets.history(tmp_path), "h.parquet", fuzz_targets.STORE)
    targets = (*TARGETS, store)
    count = -(-ALL // len(targets))
    wrong = {target.name: _faults(target, count, tmp_path / "broken", slow) for target in targets}
    _write(wrong, count)

    assert [text for texts in wrong.values() for text in texts] == []


def _write(wrong: dict[str, list[str]], count: int) -> None:
    rows = [f"| {name} | {count} | {len(texts)} |" for name, texts in wrong.items()]
    total = sum(map(len, wrong.values()))
    text = f"""# Broken files

Made by `scripts/acceptance tests/test_fuzz.py` on {datetime.now(UTC):%F}: {count * len(wrong)} seeded
mutations of {len(wrong)} kinds of files (`tests/fuzz.py`), each read by a command. A fault is an exit code
that is not documented, a traceback, a hang, a line that nobody can read, JSON that is none, or a gate that
passes a run that is three times as slow. Faults: {total}.

| file and command | mutations | faults |
|---|---|---|
"""
    FIGURES.write_text(text + "\n".join(rows) + "\n", encoding="utf-8")
