"""Read one data file of the catalog: TOML, checked and turned into HardwareProfiles.

A number is bare, then it comes from its profile's `source`, or a table with its own source and a note. What
a source is worth (`basis`) stands with the source. See docs/hardware.md.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from quantroof.errors import QuantroofError, UsageError, unknown_name
from quantroof.files import parse_toml
from quantroof.hwprofiles.compute import expanded, limits
from quantroof.hwprofiles.types import (
    Discriminator,
    Figure,
    HardwareProfile,
    Peak,
    RateClass,
    SourceGrade,
    Unit,
)

# Element types a profile may rate.
ELEMENTS = ("fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "mxfp8", "fp6", "fp4", "int8", "int4")
ACCUMULATORS = ("fp64", "fp32", "fp16", "int32")
_NUMBERS = (
    *("sm_count", "boost_mhz", "tensor_mhz", "memory_gb", "memory_mib", "memory_bus_bits"),
    *("memory_gbps_per_pin", "bandwidth_gbps", "l2_mb", "tdp_w"),
)
_SPARSE_SLACK = 1.001  # printed figures are rounded


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Source(_Strict, frozen=True, kw_only=True):
    text: str
    basis: SourceGrade


class _Number(_Strict, frozen=True, kw_only=True):
    value: float
    source: str | None = None
    note: str | None = None
    sparse: float | None = None


Number = float | _Number
Rates = dict[str, dict[str, Number]]  # element -> accumulator -> dense TFLOP/s


class _Entry(_Strict, frozen=True, kw_only=True):
    names: tuple[str, ...]
    compute_capability: str
    rate_class: RateClass
    memory_type: str
    sm_count: Number
    memory_gb: Number
    bandwidth_gbps: Number
    boost_mhz: Number | None = None
    tensor_mhz: Number | None = None
    memory_mib: Number | None = None
    memory_bus_bits: Number | None = None
    memory_gbps_per_pin: Number | None = None
    l2_mb: Number | None = None
    tdp_w: Number | None = None
    source: str | None = None
    architecture: str | None = None
    sparse_factor: float | None = None
    discriminators: tuple[Discriminator, ...] = ()
    notes: str | None = None
    vector: Rates = {}
    matrix: Rates = {}


class _File(_Strict, frozen=True, kw_only=True):
    vendor: str
    architecture: str
    sources: dict[str, _Source]
    profile: dict[str, _Entry]


def read_profiles(text: str, where: str) -> tuple[HardwareProfile, ...]:
    """Parse one data file. UsageError names file, key and reason for anything malformed."""
    file = parse_toml(text, _File, where)
    return tuple(_Reader(file, profile_id, where).profile() for profile_id in file.profile)


class _Reader:
    """Turns one entry into a profile; every error says file, profile, key and reason."""

    def __init__(self, file: _File, profile_id: str, where: str) -> None:
        self._file, self._id, self._where = file, profile_id, where
        self._entry = file.profile[profile_id]

    def profile(self) -> HardwareProfile:
        entry = self._entry
        figures = {key: self._figure(key, getattr(entry, key)) for key in _NUMBERS}
        known = {key: figure for key, figure in figures.items() if figure is not None}
        values = {key: figure.value for key, figure in known.items() if key != "bandwidth_gbps"}
        fields: dict[str, Any] = {
            **values,
            "id": self._id,
            "device_names": entry.names,
            "vendor": self._file.vendor,
            "architecture": entry.architecture or self._file.architecture,
            "compute_capability": entry.compute_capability,
            "rate_class": entry.rate_class,
            "memory_type": entry.memory_type,
            "bandwidth_gbps": known["bandwidth_gbps"],
            "sources": {key: _sentence(figure) for key, figure in known.items()},
            "discriminators": entry.discriminators,
            "notes": entry.notes,
            **limits(entry.compute_capability),
        }
        boost = values.get("boost_mhz")
        fields["peaks"] = (
            *self._peaks("vector", entry.vector, boost, boost),
            *self._peaks("matrix", entry.matrix, values.get("tensor_mhz", boost), boost),
        )
        try:
            return msgspec.convert(fields, HardwareProfile, strict=False)
        except msgspec.ValidationError as error:  # a fraction where a count belongs
            raise self._error(str(error)) from None

    def _peaks(self, unit: Unit, rates: Rates, clock: float | None, fp64_clock: float | None) -> list[Peak]:
        peaks = []
        for element, by_accumulator in rates.items():
            self._known("element type", element, ELEMENTS, f"{unit}.{element}")
            for accumulator, number in by_accumulator.items():
                key = f"{unit}.{element}.{accumulator}"
                self._known("accumulator", accumulator, ACCUMULATORS, key)
                figure = self._figure(key, number)
                assert figure is not None
                for name in expanded(element):
                    peak = Peak(
                        element=name,
                        accumulator=accumulator,
                        tflops=figure.value,
                        unit=unit,
                        clock_mhz=fp64_clock if element == "fp64" else clock,
                        sparse_tflops=self._sparse(key, unit, element, number),
                        source=figure.source,
                        basis=figure.basis,
                        note=figure.note,
                    )
                    peaks.append(peak)
        return peaks

    def _sparse(self, key: str, unit: Unit, element: str, number: Number) -> float | None:
        """The 2:4-sparse figure: the one given, else dense x the profile's factor; fp64 has none."""
        dense = number.value if isinstance(number, _Number) else number
        given = number.sparse if isinstance(number, _Number) else None
        factor = self._entry.sparse_factor
        if given is None and (unit == "vector" or element == "fp64" or factor is None):
            return None
        sparse = given if given is not None else dense * (factor or 1)
        if sparse > 2 * dense * _SPARSE_SLACK:
            raise self._error(f"sparse {sparse:g} is more than twice dense {dense:g}", key)
        return sparse

    def _figure(self, key: str, number: Number | None) -> Figure | None:
        if number is None:
            return None
        if not isinstance(number, _Number):
            number = _Number(value=number)
        if not 0 < number.value < math.inf:
            raise self._error(f"{number.value:g} is not a positive number", key)
        name = number.source or self._entry.source
        if not name:
            raise self._error("no source: give one here, or `source` for the whole profile", key)
        self._known("source", name, self._file.sources, key)
        source = self._file.sources[name]
        return Figure(value=number.value, source=source.text, basis=source.basis, note=number.note)

    def _known(self, kind: str, name: str, allowed: Any, key: str) -> None:
        if name not in allowed:
            raise unknown_name(kind, name, list(allowed), where=f"{self._where}: {self._id}.{key}")

    def _error(self, reason: str, key: str | None = None) -> QuantroofError:
        place = f"{self._id}.{key}" if key else self._id
        return UsageError(reason, where=f"{self._where}: {place}")


def _sentence(figure: Figure) -> str:
    note = f"; {figure.note}" if figure.note else ""
    return f"{figure.source} ({figure.basis}){note}"
