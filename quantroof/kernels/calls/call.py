"""A call: one function at several sizes, with its counts, its reference and the functions it races.

It is a `[[call]]` table of a suite. Nothing of it is imported or computed before it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import msgspec

from quantroof.errors import UsageError, unknown_name
from quantroof.kernels.calls import functions
from quantroof.kernels.calls.arguments import DTYPES, Argument, TensorArgument, parse_argument
from quantroof.kernels.calls.arithmetic import count
from quantroof.kernels.calls.axes import parse_axis
from quantroof.kernels.cases import CallCase
from quantroof.kernels.formats import ELEMENTS

_MOST_CASES = 4096


class Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One function and what it is given.

    `function`, `reference` and `against` are references (`path.py:NAME`, `torch.softmax`); `args` are texts
    such as `x: bf16[M, N]`, `axes` texts such as `M=1:4096:*2`. `flops` and `bytes` are arithmetic of the
    axes; without `bytes` every argument and output counts once. `dtype` names the matrix roof.
    """

    function: str
    name: str
    args: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()
    dtype: str = "fp32"
    flops: str | None = None
    bytes: str | None = None
    reference: str | None = None
    against: tuple[str, ...] = ()
    tolerance: float | None = None
    capturable: bool = True

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """The arguments in order; UsageError where a text is not one."""
        return tuple(map(parse_argument, self.args))

    @property
    def tensors(self) -> tuple[TensorArgument, ...]:
        """The arguments that are tensors."""
        return tuple(a for a in self.arguments if isinstance(a, TensorArgument))

    @property
    def kernels(self) -> dict[str, str]:
        """References by the names in records: the function first, then its rivals."""
        names = functions.names_of((self.function, *self.against))
        return {name: reference for reference, name in names.items()}

    def cases(self) -> tuple[CallCase, ...]:
        """A case per combination of sizes. UsageError for whatever cannot be computed."""
        axes = dict(map(parse_axis, self.axes))
        if len(axes) < len(self.axes):
            raise UsageError("names an axis twice", where=self.name)
        combinations = list(product(*axes.values()))
        if len(combinations) > _MOST_CASES:
            raise UsageError(f"{len(combinations)} combinations of sizes, at most {_MOST_CASES} are measured")
        return tuple(self.case(dict(zip(axes, sizes, strict=True))) for sizes in combinations)

    def case(self, sizes: Mapping[str, int]) -> CallCase:
        """The case at some sizes, with its counts."""
        names = {**sizes, "itemsize": DTYPES[_plain(self.dtype)]}
        for argument in self.arguments:
            argument.check(names)
        read = sum(tensor.bytes_at(names) for tensor in self.tensors)
        moved = read if self.bytes is None else count(self.bytes, names, "bytes")
        flops = 0 if self.flops is None else count(self.flops, names, "flops")
        if moved < 1:
            raise UsageError("it moves no byte", where=self.name, hint="give it tensors, or --bytes")
        return CallCase.of(self.name, self.dtype, tuple(sizes.items()), flops, moved)

    def at(self, case: CallCase) -> CallCase:
        """A case that was read back from its id, with its counts; UsageError if it is another call's."""
        if (case.call, case.activation.element.name) != (self.name, self.dtype):
            raise UsageError(f"{case.id} is not a case of {self.name}")
        return self.case(dict(case.axes))

    def check(self, where: str) -> None:
        """UsageError with `where` for anything that can be seen without importing a function."""
        if self.dtype not in ELEMENTS or self.dtype == "none":
            raise unknown_name("dtype", self.dtype, [name for name in ELEMENTS if name != "none"], where)
        try:
            for reference in (self.function, *self.against, *([self.reference] if self.reference else [])):
                functions.require_reference(reference)
            _ = self.cases(), self.kernels
        except UsageError as error:
            raise UsageError(str(error), where=where) from None


def _plain(dtype: str) -> str:
    """The storage type of an element: tf32 is kept as fp32, and 4-bit codes as bytes."""
    return {"tf32": "fp32", "int4": "int8", "nf4": "int8"}.get(dtype, dtype)
