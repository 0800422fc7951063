"""The Triton of a run on a device: its verdict per format, and the element that its kernels multiply in.

The verdict comes from the tables that travel with quantroof, so that a report of another machine has it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import msgspec

from quantroof.analysis.stack import StackVerdict, Tables, stack_verdicts
from quantroof.hwprofiles import native
from quantroof.hwprofiles.types import Device
from quantroof.kernels.stack.probes import Family
from quantroof.kernels.stack.table import shipped, shipped_versions
from quantroof.records.directory import Run
from quantroof.records.lines import Measurement

_PROVIDER = "triton"
_STATIC = "-static"  # the same product; its activations arrive quantized
# The fastest family first: an emulation has the roof of the fastest instruction that it may have used.
_ELEMENTS: tuple[tuple[Family, str], ...] = (("fp8", "fp8_e4m3"), ("int8", "int8"), ("16-bit", "bf16"))
_WITHOUT_MATRIX_UNIT = "fp32"


@dataclass(frozen=True, slots=True)
class Compiler:
    """A version of Triton on one architecture; no verdicts where no shipped table has both."""

    version: str | None
    verdicts: Mapping[str, StackVerdict]

    def verdict(self, scheme: str) -> StackVerdict | None:
        """What this compiler makes of a scheme's product, or None where that is not known."""
        return self.verdicts.get(scheme.removesuffix(_STATIC))

    def of(self, schemes: Iterable[str]) -> list[StackVerdict]:
        """The verdicts on the formats of these schemes, each once."""
        verdicts = {verdict.format: verdict for name in schemes if (verdict := self.verdict(name))}
        return list(verdicts.values())

    def unused(self, schemes: Iterable[str]) -> list[StackVerdict]:
        """The verdicts on formats that the silicon multiplies and this compiler not in every tile."""
        return [verdict for verdict in self.of(schemes) if verdict.silicon and verdict.support != "native"]

    def as_compiled(self, line: Measurement) -> Measurement:
        """The line with the element that its kernel multiplied in: an emulation has no native roof."""
        if line.provider != _PROVIDER or line.computes is not None:
            return line
        verdict = self.verdict(line.parsed_case.scheme)
        if verdict is None or verdict.silicon is None or verdict.support != "emulated":
            return line
        used = (name for family, name in _ELEMENTS if family in verdict.runs_as)
        return msgspec.structs.replace(line, computes=next(used, _WITHOUT_MATRIX_UNIT))


def compiler_of(run: Run, device: Device) -> Compiler:
    """The compiler that a run had for a device."""
    version = run.info.versions.get("triton")
    arch = native.architecture_of(device.compute_capability or "")
    if version is None or arch is None:
        return Compiler(version, {})
    return Compiler(version, _verdicts(version.partition("+")[0], arch))


def compiled_lines(run: Run, device: Device) -> list[Measurement]:
    """The measurements of a device, each with the element that its kernel multiplied in."""
    compiler = compiler_of(run, device)
    return [compiler.as_compiled(line) for line in run.measurements if line.device == device.id]


@lru_cache(maxsize=32)
def _verdicts(version: str, arch: str) -> Mapping[str, StackVerdict]:
    cells = [cell for cell in shipped(version) if cell.arch == arch]
    others = [(other, shipped(other)) for other in shipped_versions()]
    verdicts = stack_verdicts(Tables(version, cells, others))
    return MappingProxyType({verdict.format: verdict for verdict in verdicts})
