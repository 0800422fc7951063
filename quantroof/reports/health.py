"""Is it healthy? Ceilings against the datasheet and against siblings, and the clock events of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import Literal

from quantroof.reports import units
from quantroof.reports.clock_events import faults, words
from quantroof.reports.subjects import Subject

SIBLING_FLOOR = 0.05
"""A ceiling this far below its siblings' median is an outlier: chosen, to be replaced by fleet statistics."""
BANDWIDTH_FLOOR = 0.85
"""Least share of the datasheet's bandwidth that a healthy read reaches; an H200 was seen at 0.94."""
READ = "read"

Word = Literal["healthy", "unhealthy", "not judged"]


@dataclass(frozen=True, slots=True)
class CeilingRow:
    """One ceiling of one device, in base units a second; `siblings` is the median of others of its model."""

    subject: str
    quantity: str
    name: str
    measured: float
    datasheet: float | None
    siblings: float | None

    @property
    def against_siblings(self) -> float | None:
        """Relative distance to the siblings' median."""
        return None if self.siblings is None else self.measured / self.siblings - 1

    @property
    def against_datasheet(self) -> float | None:
        """Share of the datasheet's figure."""
        return None if self.datasheet is None else self.measured / self.datasheet

    @property
    def low(self) -> bool:
        """Below a floor: far under its siblings, or a read far under the datasheet."""
        beside = self.against_siblings
        share = self.against_datasheet if (self.quantity, self.name) == ("bandwidth", READ) else None
        return (beside is not None and beside < -SIBLING_FLOOR) or (
            share is not None and share < BANDWIDTH_FLOOR
        )


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict, what speaks against it (worst first), and the rows it was read from (outliers first)."""

    verdict: Word
    findings: tuple[str, ...]
    remarks: tuple[str, ...]
    rows: tuple[CeilingRow, ...]


def judge_health(subjects: list[Subject]) -> Health:
    """Judge all devices of a report together, so that siblings can be compared."""
    rows = sorted(ceiling_rows(subjects), key=lambda row: (not row.low, row.against_siblings or 0.0))
    findings = [_finding(row) for row in rows if row.low]
    remarks = []
    for subject in subjects:
        found, remark = _events(subject)
        findings += found
        remarks += remark
    judged = any(row.siblings is not None or (row.datasheet is not None and row.name == READ) for row in rows)
    verdict: Word = "unhealthy" if findings else "healthy" if judged else "not judged"
    return Health(verdict, tuple(findings), tuple(remarks), tuple(rows))


def ceiling_rows(subjects: list[Subject]) -> list[CeilingRow]:
    """Best measured rate of every ceiling of every device, with what it is judged by."""
    rows = []
    for subject in subjects:
        siblings = [
            other for other in subjects if other is not subject and other.device.name == subject.device.name
            and other.run.info.simulated == subject.run.info.simulated
        ]  # fmt: skip
        sheet = subject.datasheet
        for quantity, own in (("bandwidth", subject.measured.bandwidth), ("matrix", subject.measured.matrix)):
            for name, reached in own.items():
                beside = [r for r in (_rate(other, quantity, name) for other in siblings) if r is not None]
                published = _rate(subject, quantity, name, datasheet=True) if sheet else None
                rows.append(
                    CeilingRow(
                        subject.label, quantity, name, reached, published, median(beside) if beside else None
                    )
                )
    return rows


def _rate(subject: Subject, quantity: str, name: str, *, datasheet: bool = False) -> float | None:
    roofs = subject.datasheet if datasheet else subject.measured
    if roofs is None:
        return None
    return (roofs.bandwidth if quantity == "bandwidth" else roofs.matrix).get(name)


def _finding(row: CeilingRow) -> str:
    unit = "B/s" if row.quantity == "bandwidth" else "FLOP/s"
    what = f"{row.subject}: {row.name} {units.si(row.measured, unit)}"
    beside = row.against_siblings
    if beside is not None and beside < -SIBLING_FLOOR:
        return f"{what}, {beside * 100:+.1f} % against its siblings' median {units.si(row.siblings, unit)}"
    return (
        f"{what}, {units.percent(row.against_datasheet)} of the datasheet's {units.si(row.datasheet, unit)}"
    )


def _events(subject: Subject) -> tuple[list[str], list[str]]:
    """Findings and remarks from the clock-event reasons of a device's measurements."""
    masks = [p.measurement.state.reasons for p in subject.timed if p.measurement.state is not None]
    bad = Counter(reason for mask in masks for reason in faults(mask))
    mild = Counter(
        reason for mask in masks for reason in words(mask) if reason not in bad and reason != "idle"
    )
    found = [f"{subject.label}: {reason} in {n} of {len(masks)} cases" for reason, n in bad.most_common()]
    remarks = [f"{subject.label}: {reason} in {n} of {len(masks)} cases" for reason, n in mild.most_common()]
    return found, remarks
