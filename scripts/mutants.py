"""Mutants of a Python file: one small change of a comparison, a constant, an operator or a condition each.

A mutant is a text edit at one place, so that comments and lines stay as they are and a report can show it.
Text, annotations, docstrings, imports and `TYPE_CHECKING` blocks are left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NEGATED: dict[type[ast.cmpop], str] = {
    ast.Lt: ">=", ast.LtE: ">", ast.Gt: "<=", ast.GtE: "<", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
_BOUNDARY: dict[type[ast.cmpop], str] = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">"}
"""With counts only: of a measured number no sample ever equals its limit."""
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "*", ast.Pow: "*",
}  # fmt: skip
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """Replace `old` by `new` at a byte offset of a file; `line` is counted from 1."""

    file: str
    line: int
    offset: int
    old: str
    new: str

    def applied(self, source: bytes) -> bytes:
        """The file with the change."""
        end = self.offset + len(self.old.encode())
        return source[: self.offset] + self.new.encode() + source[end:]

    def shown(self, source: bytes) -> tuple[str, str]:
        """The changed line before and after."""
        index = self.line - 1
        return source.decode().splitlines()[index].strip(), self.applied(source).decode().splitlines()[
            index
        ].strip()


def mutants(root: Path, file: str) -> list[Mutant]:
    """All mutants of a file, in its order."""
    source = (root / file).read_bytes()
    edits = _Edits(source, line_starts(source))
    edits.visit(ast.parse(source))
    unique = {(offset, new): (offset, old, new) for offset, old, new in edits.edits if old != new}
    return [
        Mutant(file, source[:offset].count(b"\n") + 1, offset, old, new)
        for offset, old, new in sorted(unique.values())
    ]


def line_starts(source: bytes) -> list[int]:
    """The byte offset of each line, and of the end."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def span(node: ast.expr | ast.stmt, starts: list[int]) -> tuple[int, int]:
    """The byte offsets at which a node begins and ends."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset


class _Edits(ast.NodeVisitor):
    """Collects (offset, old text, new text)."""

    def __init__(self, source: bytes, starts: list[int]) -> None:
        self._source, self._starts = source, starts
        self.edits: list[tuple[int, str, str]] = []

    def visit_Compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            self._between(left, right, _NEGATED[type(operator)])
            if type(operator) in _BOUNDARY and (_is_count(left) or _is_count(right)):
                self._between(left, right, _BOUNDARY[type(operator)])
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        new = _OPERATORS.get(type(node.op))
        if new is not None and not _is_text(node):
            self._between(node.left, node.right, new)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        new = "or" if isinstance(node.op, ast.And) else "and"
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._between(left, right, new)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            start = self._at(node)
            self.edits.append((start, "not ", ""))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.edits.append((self._at(node), str(node.value), str(not node.value)))
        elif isinstance(node.value, int | float):
            old = self._source[self._at(node) : self._end(node)].decode()
            new = str(node.value + 1) if isinstance(node.value, int) else repr(node.value * 1.5 or 1.0)
            self.edits.append((self._at(node), old, new))

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in _CALLS:
            self.edits.append((self._at(node.func), node.func.id, _CALLS[node.func.id]))
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Without decorators and keywords such as frozen=True, which only forbid what no code does."""
        for child in node.body:
            self.visit(child)

    def visit_keyword(self, node: ast.keyword) -> None:
        """Without strict=True of zip, an assertion of the code about itself."""
        if node.arg != "strict":
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Text for people: its wording is the business of other tests."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        """Annotations are for the type checker."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for child in (*node.args.defaults, *(d for d in node.args.kw_defaults if d), *node.body):
            self.visit(child)

    def _between(self, left: ast.expr, right: ast.expr, new: str) -> None:
        """Replace the operator between two operands: the text there without parentheses and spaces."""
        start, end = self._end(left), self._at(right)
        text = self._source[start:end]
        old = text.strip(b" \t\n()\\")
        if b"#" in old or not old:
            return
        self.edits.append((start + text.index(old), old.decode(), new))

    def _at(self, node: ast.expr) -> int:
        return span(node, self._starts)[0]

    def _end(self, node: ast.expr) -> int:
        return span(node, self._starts)[1]


def _is_count(node: ast.expr) -> bool:
    """Whether an operand is a whole number: a literal or a length."""
    if isinstance(node, ast.Constant):
        return type(node.value) is int
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def _is_text(node: ast.BinOp) -> bool:
    """Whether an operand is text: + joins it and % fills it in."""
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def statement(source: bytes, mutant: Mutant) -> range | None:
    """Lines of the innermost statement around a mutant, up to the mutant; None outside functions."""
    first = statements(source).get(mutant.line)
    return None if first is None else range(first, mutant.line + 1)


def statements(source: bytes) -> dict[int, int]:
    """The first line of the innermost statement around each line, for lines within functions."""
    found: dict[int, int] = {}

    def look(node: ast.AST, within: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
                continue
            if within and isinstance(child, ast.stmt):
                assert child.end_lineno is not None
                found.update(dict.fromkeys(range(child.lineno, child.end_lineno + 1), child.lineno))
            look(child, within or isinstance(child, ast.FunctionDef))

    look(ast.parse(source), within=False)
    return found


def sampled(pool: list[Mutant], count: int | None, seed: int) -> Iterator[Mutant]:
    """At most `count` mutants of a pool, drawn by a seed, in the order of the files; all without a count."""
    from random import Random

    drawn = Random(seed).sample(range(len(pool)), len(pool) if count is None else min(count, len(pool)))
    return (pool[index] for index in sorted(drawn))
