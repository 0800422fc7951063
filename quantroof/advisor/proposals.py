"""The formats that are compared unless the user names some: those of checkpoints that the GPU runs."""

from __future__ import annotations

from collections.abc import Iterator

from quantroof.advisor.choices import DEFAULT, choice
from quantroof.advisor.machine import Machine
from quantroof.advisor.models import Model

# What an engine serves a checkpoint as where the GPU cannot multiply its elements (vLLM's Marlin kernels).
_STORAGE_ONLY = {
    "fp8-w8a8": "fp8-w8a16", "fp8-w8a8-static": "fp8-w8a16", "fp8-block-w8a8": "fp8-w8a16",
    "nvfp4-w4a4": "nvfp4-w4a16",
}  # fmt: skip
# bitsandbytes' kernels take 2 to 9 times what their bytes need (vllm#22780): only where a run timed them.
_SLOW = "nf4-w4a16"
_FP4_CAPABILITY = (10, 0)


def proposed(model: Model, machine: Machine, timed: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The formats to compare. A checkpoint that is stored quantized is served as it is."""
    return tuple(dict.fromkeys(_proposals(model, machine, timed)))


def _proposals(model: Model, machine: Machine, timed: frozenset[str]) -> Iterator[str]:
    copies = [served_as(name, machine) for _, name in model.checkpoints]
    if model.native_format is not None:
        yield from (served_as(model.native_format, machine), *copies)
        return
    for name in DEFAULT:
        if name == _SLOW and name not in timed and machine.is_gpu:
            continue
        if name == "fp8-w8a16" and machine.multiplies_fp8 and name not in timed:
            continue
        yield name
    yield from copies
    yield from copies
    if _multiplies_fp4(machine):
        yield "nvfp4-w4a4"


def served_as(name: str, machine: Machine) -> str:
    """The format in which this GPU serves a checkpoint of a format."""
    if name == "nvfp4-w4a4" and not _multiplies_fp4(machine):
        return _STORAGE_ONLY[name]
    runs = machine.rate(choice(name).compute.name) is not None
    return name if runs or name not in _STORAGE_ONLY else _STORAGE_ONLY[name]


def _multiplies_fp4(machine: Machine) -> bool:
    fits = machine.capability is not None and machine.capability >= _FP4_CAPABILITY
    return fits and machine.rate("fp4") is not None
