"""Arguments of a call as text: `x: bf16[M, N] = normal` is a tensor, `dim = -1` a number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from quantroof.errors import UsageError, unknown_name
from quantroof.kernels.calls.arithmetic import Number, count, number

_TENSOR = re.compile(r"(?P<name>[A-Za-z_]\w*):(?P<dtype>\w+)\[(?P<shape>[^\[\]]*)\](?:=(?P<fill>.+))?")
_SCALAR = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>[^=]+)")
_INDEX = re.compile(r"index\((.+)\)")
_HINT = "x: bf16[M, N], i: int64[M] = index(N), y: bf16[M] = out, dim = -1"

DTYPES = {
    "fp64": 8, "fp32": 4, "fp16": 2, "bf16": 2, "fp8_e4m3": 1, "fp8_e5m2": 1,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip
"""Bytes of one element by dtype."""
TORCH_DTYPES = {
    "fp64": "float64", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16",
    "fp8_e4m3": "float8_e4m3fn", "fp8_e5m2": "float8_e5m2",
    "int64": "int64", "int32": "int32", "int16": "int16", "int8": "int8", "uint8": "uint8", "bool": "bool",
}  # fmt: skip
"""torch's name of each dtype."""
FILLS = ("normal", "uniform", "zeros", "ones", "arange", "out")


@dataclass(frozen=True, slots=True)
class TensorArgument:
    """A tensor: its shape as expressions, and what it is filled with.

    `out` is what the function writes into; `index` holds indices below `limit`.
    """

    name: str
    dtype: str
    shape: tuple[str, ...]
    fill: str
    limit: str | None = None

    def sizes(self, names: Mapping[str, int]) -> tuple[int, ...]:
        """The shape at some sizes of the axes."""
        return tuple(count(text, names, f"the shape of {self.name}") for text in self.shape)

    def check(self, names: Mapping[str, int]) -> None:
        """UsageError where a size or the limit has no value."""
        self.sizes(names)
        if self.limit is not None:
            self.limit_at(names)

    def limit_at(self, names: Mapping[str, int]) -> int:
        """The number that indices stay below."""
        return count(self.limit or "1", names, f"argument {self.name}")

    def bytes_at(self, names: Mapping[str, int]) -> int:
        """Bytes of the tensor."""
        return prod(self.sizes(names)) * DTYPES[self.dtype]


@dataclass(frozen=True, slots=True)
class ScalarArgument:
    """A number or a truth value, as an expression."""

    name: str
    text: str

    def check(self, names: Mapping[str, int]) -> None:
        """UsageError where it has no value."""
        self.value(names)

    def value(self, names: Mapping[str, int]) -> Number | bool:
        """The value at some sizes of the axes."""
        truth = {"true": True, "false": False}.get(self.text.lower())
        return number(self.text, names, f"argument {self.name}") if truth is None else truth


Argument = TensorArgument | ScalarArgument


def parse_argument(text: str) -> Argument:
    """An argument from its text; UsageError for anything else."""
    plain = re.sub(r"\s", "", text)
    if match := _TENSOR.fullmatch(plain):
        return _tensor(match["name"], match["dtype"], match["shape"], match["fill"] or "")
    if match := _SCALAR.fullmatch(plain):
        return ScalarArgument(match["name"], match["value"])
    raise UsageError(f"'{text}' is not an argument", hint=_HINT)


def _tensor(name: str, dtype: str, shape: str, fill: str) -> TensorArgument:
    where = f"argument {name}"
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, list(DTYPES), where)
    sizes = tuple(part for part in shape.split(",") if part)
    index = _INDEX.fullmatch(fill)
    if index is not None:
        return TensorArgument(name, dtype, sizes, "index", index[1])
    fill = fill or ("normal" if dtype.startswith(("fp", "bf")) else "ones")
    if fill not in FILLS:
        raise unknown_name("fill", fill, [*FILLS, "index(N)"], where)
    if fill in ("normal", "uniform") and not dtype.startswith(("fp", "bf")):
        raise UsageError(f"{dtype} cannot be filled with {fill}", where=where, hint="index(N), arange, ones")
    return TensorArgument(name, dtype, sizes, fill)
