"""Which cases a change concerns: every planted difference is found, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quantroof.bench.plan import make_plan
from quantroof.bench.selection import Selection, select_cases
from quantroof.bench.suite import load
from quantroof.gate.changed import Comparison, Selected
from quantroof.gate.changed import Selection as Changed
from quantroof.gate.fingerprint_process import rows_of
from quantroof.gate.sides import Side
from quantroof.records.run import RunOptions
from quantroof.reports.text.select_lines import select_lines, select_markdown
from tests.builders import gpu_device

ROOT = Path(__file__).parent.parent.parent
_LAUNCH = {
    "warps": 4, "stages": 3, "grid": [8, 1, 1], "arguments": ["*bf16", "i32:16"], "shared bytes": 4096,
    "constants": {"BM": "16", "BN": "128"}, "code": "one",
}  # fmt: skip
_NO_CODE: dict[str, Any] = {"launches": []}
_EQUAL = ({"k": "a"}, {"k": "a"})
Edit = Callable[[dict[str, Any]], object]
PLANTED: list[tuple[str, Edit]] = [
    ("warps 4 -> 8", lambda x: x.update(warps=8)),
    ("stages 3 -> 4", lambda x: x.update(stages=4)),
    ("grid [8, 1, 1] -> [8, 2, 1]", lambda x: x.update(grid=[8, 2, 1])),
    ('arguments ["*bf16", "i32:16"] -> ["*bf16", "i32"]', lambda x: x.update(arguments=["*bf16", "i32"])),
    ("shared bytes 4096 -> 8192", lambda x: x.update({"shared bytes": 8192})),
    ("BM 16 -> 32", lambda x: x["constants"].update(BM="32")),
    ("SPLIT null -> 2", lambda x: x["constants"].update(SPLIT="2")),
    ("BN 128 -> null", lambda x: x["constants"].pop("BN")),
    ("machine code", lambda x: x.update(code="two")),
]


def _side(name: str, sources: dict[str, str], versions: dict[str, str]) -> Side:
    return Side(name, sys.executable, ROOT, ROOT / "quantroof", (), sources, versions, {})


def _comparison(
    sources: tuple[dict[str, str], dict[str, str]] = ({}, {}),
    versions: tuple[dict[str, str], dict[str, str]] = ({}, {}),
) -> Comparison:
    base, ours = (_side(n, s, v) for n, s, v in zip(("base", "now"), sources, versions, strict=True))
    return Comparison(base, ours)


@pytest.mark.parametrize(("words", "edit"), PLANTED, ids=[words for words, _ in PLANTED])
def test_every_planted_difference_of_a_launch_is_named(words: str, edit: Edit) -> None:
    """Constants, grid, warps, stages, arguments, shared memory and code; in the second launch as well."""
    now = deepcopy(_LAUNCH)
    edit(now)
    before = {"launches": [_LAUNCH, _LAUNCH]}
    found = _comparison().differences("k", before, {"launches": [_LAUNCH, now]})

    assert found[0] == words


def test_equal_launches_are_not_selected_whatever_the_source_says() -> None:
    """A comment or another line number changes no machine code, and the launch stays the same."""
    comparison = _comparison(({"k": "aaa"}, {"k": "bbb"}))
    row = {"launches": [_LAUNCH]}

    assert comparison.differences("k", row, deepcopy(row)) == []


@pytest.mark.parametrize(
    ("before", "now", "sources", "versions", "found"),
    [
        (_NO_CODE, _NO_CODE, _EQUAL, ({"torch": "1"}, {"torch": "1"}), []),
        (_NO_CODE, _NO_CODE, ({"k": "a"}, {"k": "b"}), ({}, {}), ["source"]),
        ({"absent": True}, {"absent": True}, ({"k": "a"}, {"k": "b"}), ({}, {}), ["source"]),
        (_NO_CODE, _NO_CODE, _EQUAL, ({"torch": "1"}, {"torch": "2"}), ["torch 1 -> 2"]),
        (_NO_CODE, _NO_CODE, _EQUAL, ({"quantroof": "1"}, {}), []),
        ({"absent": True}, {"launches": [_LAUNCH]}, ({}, {"k": "a"}), ({}, {}), ["new"]),
        ({"launches": [_LAUNCH]}, _NO_CODE, ({}, {}), ({}, {}), ["launches 1 -> 0"]),
        ({"failed": "E: x"}, _NO_CODE, ({}, {}), ({}, {}), ["not comparable: base fails, E: x"]),
        (_NO_CODE, {"failed": "E: y"}, ({}, {}), ({}, {}), ["not comparable: now fails, E: y"]),
        (None, _NO_CODE, _EQUAL, ({}, {}), ["not comparable: the base cannot be compiled"]),
        (None, _NO_CODE, ({}, {"k": "a"}), ({}, {}), ["new"]),
    ],
)  # fmt: skip
def test_what_has_no_code_is_compared_by_source_and_what_cannot_be_compared_is_selected(
    before: dict[str, Any] | None,
    now: dict[str, Any],
    sources: tuple[dict[str, str], dict[str, str]],
    versions: tuple[dict[str, str], dict[str, str]],
    found: list[str],
) -> None:
    """Never a silent pass: a side that fails, or a base that cannot be compiled, selects its cases."""
    assert _comparison(sources, versions).differences("k", before, now) == found


def test_a_kernel_that_cannot_be_compiled_says_why_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton's own error quotes the code with a caret below; its cause has the reason."""

    def programs(*_: object) -> None:
        reason = TypeError("the type of an operand is not known\n    ^")
        raise ValueError("at 3:7:\n    x = asm(y)\n        ^") from reason

    kernel = SimpleNamespace(machine_code=SimpleNamespace(programs=programs))
    registry = SimpleNamespace(kernels={"mine": kernel})
    monkeypatch.setattr("quantroof.kernels.registry.load", lambda: registry)
    ((_, _, row),) = rows_of("sm_90a", [("gemm/bf16-bf16-bf16/m1-n64-k64", "mine")], tmp_path, [])

    assert row == {"failed": "TypeError: the type of an operand is not known"}


def test_the_list_selects_exactly_its_kernels_in_a_run() -> None:
    """`run --cases` with `case kernel` lines plans these kernels of these cases and no others."""
    base = load("quick")
    plan = make_plan(base, gpu_device(0), RunOptions())
    both = next(planned for planned in plan.cases if len(planned.kernels) > 1)
    line = f"{both.case.id} {both.kernels[1].name}"
    selected = select_cases(base, Selection(cases=(both.case.id,), only=(line,)), None)
    again = make_plan(selected.suite, gpu_device(0), RunOptions())

    assert [(one.case.id, [k.name for k in one.kernels]) for one in again.cases] == [
        (both.case.id, [both.kernels[1].name])
    ]


def test_the_table_for_a_pull_request_escapes_and_counts() -> None:
    """Names are text, and each case and kernel counts once over the architectures."""
    one = Selected(case="gemv/a", kernel="triton.<b>", arch="sm_90a", differs=("warps 4 -> 8",))
    selection = Changed(selected=(one, one), planned=9, base="base main", archs=("sm_90a",))

    assert next(iter(select_lines(selection))) == "1 of 9 cases and kernels differ from base main"
    assert "<b>" not in "\n".join(select_markdown(selection))
    assert selection.lines() == ["gemv/a triton.<b>"]


@pytest.mark.slow
def test_a_planted_stage_is_found_in_a_clone_with_exactly_its_kernel(tmp_path: Path) -> None:
    """Real compilations of both sides: one stage less in weight-only kernels; torch's are left out."""
    pytest.importorskip("triton")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--local", str(ROOT), str(clone)], check=True)
    file = clone / "quantroof" / "kernels" / "linear" / "triton_weight_only.py"
    file.write_text(file.read_text().replace("num_stages=stages)", "num_stages=stages - 1)"))
    (clone / "s.toml").write_text(
        'schema = "quantroof-suite/1"\nname = "s"\nproviders = ["triton", "torch"]\n'
        '[[sweep]]\nshapes = [{n = 1024, k = 1024}]\nm = [1]\nformats = ["int8-w8a16"]\n'
    )
    command = [sys.executable, "-m", "quantroof", "gate", "select", "--base", "HEAD", "--suite", "s.toml"]
    done = subprocess.run(
        [*command, "--out", "-"], cwd=clone, env={"PYTHONPATH": str(clone), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "gemv/int8.channel-bf16-bf16/m1-n1024-k1024 triton.int8_weight\n" in done.stdout
    assert "torch." not in done.stdout
    assert "stages 4 -> 3" in done.stdout
