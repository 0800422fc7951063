"""Arithmetic of axes, such as `2*M*N*K`: parsed and computed here, and never evaluated as Python."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

from quantroof.errors import UsageError

Number = int | float

_LONGEST = 300
_LARGEST = 2.0**62
_OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: dict[str, Callable[..., Number]] = {"min": min, "max": max, "ceil": math.ceil, "log2": math.log2}
_HINT = "numbers, axes, + - * / // % **, min, max, ceil, log2"


def number(text: str, names: Mapping[str, int], where: str) -> Number:
    """The value of an expression of names and numbers; UsageError names `where` for anything else."""
    if len(text) > _LONGEST:
        raise UsageError(f"is longer than {_LONGEST} characters", where=where)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(f"'{text}' is not arithmetic", where=where, hint=_HINT) from None
    try:
        value = _value(tree, names)
    except _NotArithmetic as error:
        raise UsageError(f"'{text}': {error}", where=where, hint=_HINT) from None
    except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"'{text}' has no value: {error}", where=where) from None
    return value


def count(text: str, names: Mapping[str, int], where: str) -> int:
    """The value of an expression as a whole number that is not negative; UsageError for any other."""
    value = number(text, names, where)
    if value < 0 or value != int(value):
        raise UsageError(f"'{text}' is {value}, not a whole number from 0 on", where=where)
    return int(value)


class _NotArithmetic(Exception):
    """A part of an expression that is not arithmetic of known names."""


def _value(node: ast.expr, names: Mapping[str, int]) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _bounded(value)
        case ast.Name(id=name):
            if name not in names:
                raise _NotArithmetic(f"{name} is not an axis (axes: {', '.join(names) or 'none'})")
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, names), _value(right, names))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)](_value(left, names), _value(right, names)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS and args:
            return _bounded(_FUNCTIONS[name](*(_value(argument, names) for argument in args)))
        case _:
            raise _NotArithmetic(f"'{ast.unparse(node)}' is not arithmetic")


def _power(base: Number, exponent: Number) -> Number:
    """Through the logarithm first, so that no number of a million digits is ever computed."""
    if base < 0 and exponent != int(exponent):
        raise _NotArithmetic("a root of a negative number is not arithmetic")
    if base and abs(exponent) * abs(math.log2(abs(base))) > math.log2(_LARGEST):
        raise _NotArithmetic("a number of it is too large")
    return _bounded(base**exponent)


def _bounded(value: Number) -> Number:
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise _NotArithmetic("a number of it is too large")
    return value
