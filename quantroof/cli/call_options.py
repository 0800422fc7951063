"""From the options of `quantroof bench` and what a file declares to a Call, and to a suite that holds it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.kernels.calls.call import Call

_FIELDS = (
    "args",
    "axes",
    "dtype",
    "flops",
    "bytes",
    "reference",
    "against",
    "tolerance",
    "capturable",
    "name",
)
_DIMENSIONS = "MNKL"
_SUITE = """schema = "quantroof-suite/1"
name = {name}

[limits]
precision = 0.01
seconds_per_case = 0.5
quick_ceilings = true
"""


class CallFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The options as they were parsed; their names are those of the click parameters."""

    function: str
    arg: tuple[str, ...]
    shape: tuple[str, ...]
    dtype: str | None
    axis: tuple[str, ...]
    flops: str | None
    bytes_moved: str | None
    reference: str | None
    against: tuple[str, ...]
    tolerance: float | None
    no_capture: bool


def suite_text(call: Call) -> str:
    """A suite with this one call, as TOML."""
    import json

    from quantroof.kernels.calls.toml import tables

    return "\n".join([_SUITE.format(name=json.dumps(call.name)), *tables([call]), ""])


def call_of(flags: CallFlags) -> Call:
    """The call that the options describe, completed by what the file declares."""
    from quantroof.kernels.calls import functions
    from quantroof.kernels.calls.call import Call
    from quantroof.kernels.calls.signature import require_accepted

    reference = _named(flags.function)
    path, name = functions.split(reference)
    declared = _declared(reference)
    fields = {**declared, **_given(flags)}
    shape_args, shape_axes = _of_shapes(reference, flags)
    if shape_args:
        fields["args"] = (*shape_args, *flags.arg)
    sized = [a for a in shape_axes if _letter(a) not in set(map(_letter, flags.axis))]
    kept = [a for a in fields.get("axes", ()) if _letter(a) not in set(map(_letter, sized))]
    fields["axes"] = (*kept, *sized)
    fields.setdefault("name", name.partition(".")[0])
    fields["reference"] = _local(fields.get("reference"), path)
    fields["against"] = tuple(_local(other, path) for other in fields.get("against", ()))
    try:
        call = msgspec.convert({"function": reference, **fields}, Call, strict=True)
    except msgspec.ValidationError as error:
        raise UsageError(f"declares something else than a call: {error}", where=reference) from None
    require_accepted(call)
    call.check(reference)
    return call


def _named(text: str) -> str:
    """`FILE.py:NAME`, where NAME is the file's only public function if it is not given."""
    from quantroof.kernels.calls import functions

    if functions.is_torch(text):
        raise UsageError(
            "is a function of torch", where=text, hint="name one of a file, and race it --against this"
        )
    if not text.endswith(".py"):
        functions.require_reference(text)
        return text
    names = functions.public_functions(functions.imported(Path(text)))
    if len(names) != 1:
        hint = f"write {text}:NAME" if names else "define one"
        raise UsageError(f"has {len(names)} functions: {', '.join(names) or 'none'}", where=text, hint=hint)
    return f"{text}:{names[0]}"


def _declared(reference: str) -> dict[str, Any]:
    """The fields of a decorator, or the attributes of a class."""
    from quantroof.kernels.calls import functions

    path, name = functions.split(reference)
    value = getattr(functions.imported(path), name.partition(".")[0], None)
    fields = dict(getattr(value, functions.DECLARED, {}))
    if isinstance(value, type):
        fields |= {field: getattr(value, field) for field in _FIELDS if field in vars(value)}
        if callable(fields.get("reference")):
            fields["reference"] = f"{name}.reference"
    for field in ("args", "axes", "against"):
        if isinstance(fields.get(field), list):
            fields[field] = tuple(fields[field])
    if unknown := set(fields) - set(_FIELDS):
        raise UsageError(f"declares unknown fields: {', '.join(sorted(unknown))}", where=reference)
    return fields


def _given(flags: CallFlags) -> dict[str, Any]:
    """The fields that the options name."""
    fields = {
        "args": flags.arg,
        "axes": flags.axis,
        "dtype": flags.dtype,
        "flops": flags.flops,
        "bytes": flags.bytes_moved,
        "reference": flags.reference,
        "against": flags.against,
        "tolerance": flags.tolerance,
        "capturable": False if flags.no_capture else None,
    }
    return {name: value for name, value in fields.items() if value not in (None, ())}


def _letter(axis: str) -> str:
    """`M` of `M=1,16`."""
    return axis.partition("=")[0].strip()


def _of_shapes(reference: str, flags: CallFlags) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Arguments from `--shape`, one per parameter, and the axes that the numbers of the first one are."""
    from quantroof.kernels.calls.signature import positional

    if not flags.shape:
        return (), ()
    if any(":" in text for text in flags.arg):
        raise UsageError("--shape and a tensor in --arg exclude each other")
    names = positional(reference)
    if names and len(flags.shape) > len(names):
        raise UsageError(
            f"takes {len(names)} arguments, {len(flags.shape)} shapes are given", where=reference
        )
    args: list[str] = []
    axes: list[str] = []
    for place, shape in enumerate(flags.shape):
        sizes = shape.replace(" ", "").split("x")
        if not all(re.fullmatch(r"[1-9]\d*|[A-Za-z]\w*", size) for size in sizes):
            raise UsageError(f"'{shape}' is not a shape", hint="like 4096x4096, or MxN with --axis")
        if place == 0 and len(sizes) <= len(_DIMENSIONS):
            axes = [f"{d}={size}" for d, size in zip(_DIMENSIONS, sizes, strict=False) if size.isdigit()]
            sizes = [d if size.isdigit() else size for d, size in zip(_DIMENSIONS, sizes, strict=False)]
        name = names[place] if place < len(names) else f"argument_{place}"
        args.append(f"{name}: {flags.dtype or 'fp32'}[{', '.join(sizes)}]")
    return tuple(args), tuple(axes)


def _local(value: Any, path: Path) -> Any:
    """A function that a declaration names alone, or holds, is one of its own file."""
    name = getattr(value, "__name__", value)
    plain = isinstance(name, str) and re.fullmatch(r"[A-Za-z_]\w*(\.reference)?", name)
    return f"{path}:{name}" if plain else value
