"""The size budget: a file is one thing, a function fits on a screen."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import LONGEST

ROOT = Path(__file__).parent.parent
FILE_LINES = 300
FUNCTION_LINES = 40
FOLDERS = ("bench", "kernels", "quantroof", "reports", "scripts", "tests")
FILES = sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def _is_device_code(function: FunctionNode) -> bool:
    """A Triton kernel is one program: it is as long as its algorithm, and cannot be cut like host code."""
    return any("triton" in ast.unparse(d) and "jit" in ast.unparse(d) for d in function.decorator_list)


def _body_lines(function: FunctionNode) -> int:
    """Lines from `def` to the end, the docstring aside."""
    assert function.end_lineno is not None
    first = function.body[0]
    lines = function.end_lineno - function.lineno + 1
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        assert first.end_lineno is not None
        lines -= first.end_lineno - first.lineno + 1
    return lines


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_and_functions_keep_the_budget(path: Path) -> None:
    """No file over 300 lines; no host function over 40 without its docstring."""
    text = path.read_text()
    long = {
        node.name: _body_lines(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, FunctionNode) and not _is_device_code(node) and _body_lines(node) > FUNCTION_LINES
    }

    assert len(text.splitlines()) <= FILE_LINES
    assert long == {}


def test_modules_that_start_first_exist() -> None:
    """A module that was renamed would start last, and one process would end long after the others."""
    assert [module for module in LONGEST if not (ROOT / module).is_file()] == []
