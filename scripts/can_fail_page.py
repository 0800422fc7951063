"""The page of tests that were seen to fail: how many per folder, and each that was not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from can_fail_record import Seen
from mutation_page import made_with


def page(rows: Iterable[Seen], left_out: str) -> str:
    """The page in Markdown; `left_out` says which tests were not tried."""
    functions: dict[str, list[Seen]] = defaultdict(list)
    for row in rows:
        functions[row.function].append(row)
    folders: dict[str, list[list[Seen]]] = defaultdict(list)
    for name, examples in functions.items():
        parts = name.split("/")
        folders[parts[1] if len(parts) > 2 else "."].append(examples)
    table = "\n".join(_row(folder, folders[folder]) for folder in sorted(folders))
    total = _row("all", list(functions.values()))
    missing = "\n".join(
        f"| {name} | {examples[0].note} |"
        for name, examples in sorted(functions.items())
        if all(row.raised is None for row in examples)
    )
    return f"""# Tests that were seen to fail

Made by `scripts/can_fail.py` on {made_with()}.
Each test ran with faults planted in the lines that it reaches, one at a time, until one made it fail: a
changed comparison, constant, operator, condition or wording, a statement left out, or nothing returned. Tests
of data, pages and kernels failed by the edits that `scripts/can_fail.toml` lists. A failure counts where the
test itself raised, not a fixture. {left_out}

| folder | tests | by an assertion | by another exception | never | examples | of which failed |
|---|---|---|---|---|---|---|
{table}
{total}

## Never failed

| test | why |
|---|---|
{missing or "| none | |"}
"""


def _row(folder: str, tests: list[list[Seen]]) -> str:
    best = [max(row.rank for row in examples) for examples in tests]
    rows = [row for examples in tests for row in examples]
    failed = sum(row.raised is not None for row in rows)
    return (
        f"| {folder} | {len(tests)} | {best.count(2)} | {best.count(1)} | {best.count(0)} "
        f"| {len(rows)} | {failed} |"
    )
