"""Judging and showing are apart: reports and cli word what other rooms decided, and compare no figures."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from quantroof.analysis.verdicts import Tone

PACKAGE = Path(__file__).parent.parent / "quantroof"
FILES = sorted(path for room in ("reports", "cli") for path in (PACKAGE / room).rglob("*.py"))
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
# Comparisons that decide what is shown and not what is true; every other one belongs below reports.
LAYOUT = {
    "reports/exports/pytest_benchmark.py": {
        "low - fence <= value <= high + fence": "pytest-benchmark's own definition of an outlier",
        "abs(value - mean) > spread": "pytest-benchmark's own definition of an outlier",
    },
    "reports/html/fleet_charts.py": {
        "self.high - self.low < 0.3": "the distance of ticks on an axis",
    },
    "reports/html/fleet_page.py": {
        "hidden > 0": "rows left out",
        "kinds > drawn": "charts left out",
    },
    "reports/html/figures.py": {"p.intensity > 0": "a logarithmic axis has no zero"},
    "reports/text/advice_lines.py": {"more > 0": "rows left out"},
    "reports/text/advice_words.py": {"option.replicas > 1": "singular or plural"},
    "reports/text/comparison_lines.py": {"count > _REPEATED": "a cause of many rows is one line above them"},
    "reports/text/comparison_of_gpus.py": {"option.replicas > 1": "singular or plural"},
    "reports/text/gate_markdown.py": {"size > room": "GitHub's limit on the size of a summary"},
    "reports/text/hardware_lines.py": {"width < _WIDE": "columns of the terminal"},
    "reports/text/history_lines.py": {"labels[trend.label] > 1": "whether a label needs its suite"},
    "reports/text/memory_lines.py": {"size < 100000000.0": "the unit of a size"},
    "reports/text/run_lines.py": {
        "devices > 1": "whether a line stands for several devices",
        "interval.samples > 1": "one sample has no interval to show",
        "seconds < 60": "the unit of a time",
    },
    "reports/text/select_lines.py": {"(rest := (len(selection.selected) - _MOST)) > 0": "rows left out"},
    "cli/gate/init.py": {"number >= _MOST_FILES": "how many files of a repository are read"},
    "cli/options.py": {"abs(number) > self._largest": "a check of what the user typed"},
    "cli/progress.py": {"done < total": "which devices are not done"},
    "cli/quality/decode.py": {"min(numbers) < 1": "a check of what the user typed"},
}


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def _is_length(node: ast.expr) -> bool:
    """`len(rows) > 12` asks how much there is to show."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def _comparisons(path: Path) -> Iterator[str]:
    """Every comparison by size whose sides are not the length of something."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare) and any(isinstance(operator, ORDER) for operator in node.ops):
            sides = (node.left, *node.comparators)
            if not any(map(_is_length, sides)):
                yield ast.unparse(node)


def _strings(tree: ast.AST) -> Iterator[str]:
    """String constants that are not the key of a table of words."""
    keys = {key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in keys:
            yield node.value


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_reports_and_cli_compare_no_figures(path: Path) -> None:
    """A figure is held against a threshold where the verdict is owned; layout is listed with its reason."""
    assert set(_comparisons(path)) - set(LAYOUT.get(_name(path), {})) == set()


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_reports_and_cli_give_no_tone(path: Path) -> None:
    """Whether an answer is good or bad arrives decided; a surface only looks up a color or a sign for it."""
    tones = set(get_args(Tone)) - {"none"}  # `none` is also a word of its own
    used = tones & set(_strings(ast.parse(path.read_text())))

    assert used == set()


def test_the_list_of_layout_is_not_longer_than_it_must_be() -> None:
    """An entry whose comparison is gone is deleted."""
    files = {_name(path): path for path in FILES}
    stale = [
        f"{name}: {text}"
        for name, entries in LAYOUT.items()
        for text in entries
        if name not in files or text not in set(_comparisons(files[name]))
    ]

    assert stale == []
