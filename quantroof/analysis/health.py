"""Is it healthy? Ceilings compared with the datasheet and with siblings, and the clock events of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from quantroof import units
from quantroof.analysis.bandwidth_change import alone, bandwidth_changes, largest, state_beside
from quantroof.analysis.bits import judge_bits
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.floors import BANDWIDTH_FLOOR, SIBLING_FLOOR, floor_of
from quantroof.analysis.health_before import identity, slower_than_before
from quantroof.analysis.links import judge_links
from quantroof.analysis.roofs import READ
from quantroof.analysis.verdicts import BY_ITSELF, STATES, Verdict
from quantroof.finding import Finding, Level
from quantroof.hwprofiles.checks import cross_check
from quantroof.hwprofiles.clock_events import faults, words

NO_REFERENCE = "nothing to compare with: no datasheet entry and no second device of this model"
NO_CEILING = "no ceiling was measured"


@dataclass(frozen=True, slots=True)
class CeilingRow:
    """One ceiling of one device, in base units per second; `siblings` is its model's median elsewhere."""

    device: str
    quantity: str
    name: str
    measured: float
    datasheet: float | None
    siblings: float | None
    floor: float = BANDWIDTH_FLOOR
    """The least share of the datasheet that a healthy read reaches, by what others published."""

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
        return (beside is not None and beside < -SIBLING_FLOOR) or (share is not None and share < self.floor)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The verdict on all devices and on each by its label, the findings against them (worst first), and the
    ceilings that it is based on (outliers first)."""

    verdict: Verdict
    devices: dict[str, Verdict]
    findings: tuple[str, ...]
    remarks: tuple[str, ...]
    rows: tuple[CeilingRow, ...]


def judge_health(devices: list[DeviceResults], before: Sequence[DeviceResults] = ()) -> HealthReport:
    """Judge all devices of a report together: siblings are compared, and each device with itself `before`."""
    rows = sorted(ceiling_rows(devices), key=lambda row: (not row.low, row.against_siblings or 0.0))
    slow = {label: text for label in _labels(rows) if (text := _slow(label, rows))}
    faulty, mild = _events(devices)
    broken = {results.label: text for results in devices if (text := _broken(results))}
    beside = {results.label: _beside(results) for results in devices}
    broken = {**_texts(beside, "failed"), **broken}
    slow = {**slower_than_before(devices, before), **_texts(beside, "degraded"), **slow}
    faded = _faded(devices)
    verdicts = {
        results.label: _verdict(results, rows, broken, {**_first(faulty), **slow}, faded)
        for results in devices
    }
    findings = [*broken.values(), *(text for label, text in slow.items() if _counts(verdicts[label]))]
    findings += [*faded.values(), *(text for texts in faulty.values() for text in texts)]
    mild += _contradictions(devices)
    return HealthReport(_worst(verdicts), verdicts, tuple(findings), tuple(mild), tuple(rows))


def _verdict(
    results: DeviceResults,
    rows: list[CeilingRow],
    broken: dict[str, str],
    slow: dict[str, str],
    faded: dict[str, str],
) -> Verdict:
    """One device: what it reports of itself first, then whether its figures may be used, then its speed."""
    label, trust = results.label, results.trust
    if label in broken:
        return Verdict("failed", broken[label])
    if label in faded:
        return Verdict("degraded", faded[label])
    if trust.timed and not trust.usable:
        return Verdict("unknown", trust.words)
    if label in slow:
        return Verdict("degraded", slow[label])
    own = [row for row in rows if row.device == label]
    if any(row.siblings is not None for row in own):
        return Verdict("ok")
    if any(row.name == READ and row.datasheet is not None for row in own):
        return Verdict("ok", BY_ITSELF)
    return Verdict("unknown", NO_REFERENCE if own else NO_CEILING)


def _counts(verdict: Verdict) -> bool:
    """A low ceiling counts against a device unless its figures may not be used."""
    return verdict.state != "unknown"


def _worst(verdicts: dict[str, Verdict]) -> Verdict:
    """The gravest verdict of all devices; its reason names the device where there are several."""
    worst = min(verdicts.values(), key=lambda verdict: STATES.index(verdict.state), default=None)
    return worst or Verdict("unknown", "the run has no device")


def _broken(results: DeviceResults) -> str | None:
    """Memory errors and critical driver errors that came while the device was measured."""
    states = [p.measurement.state for p in results.points if p.measurement.state is not None]
    errors = sum(state.ecc_errors or 0 for state in states)
    codes = sorted({code for state in states for code in state.xid})
    if errors:
        return f"{results.label}: {errors:.0f} uncorrected memory errors came while it was measured"
    return f"{results.label}: the driver reported XID {', '.join(map(str, codes))}" if codes else None


def _beside(results: DeviceResults) -> list[Finding]:
    """The findings on a device from the links and the exact products of its run."""
    links = [line for line in results.run.ceilings if line.quantity == "link"]
    by_check = [judge_bits(results.run.bits), judge_links(results.run.info.devices, links) if links else {}]
    return [finding for findings in by_check for finding in findings.get(results.device.id, ())]


def _texts(beside: dict[str, list[Finding]], level: Level) -> dict[str, str]:
    """By device the first finding of a level, as a sentence."""
    of_level = {label: [f.text for f in findings if f.level == level] for label, findings in beside.items()}
    return {label: f"{label}: {texts[0]}" for label, texts in of_level.items() if texts}


def _faded(devices: list[DeviceResults]) -> dict[str, str]:
    """Devices whose bandwidth fell during the run while most siblings' did not, unless others disturbed
    them."""
    moved = {results.label: largest(bandwidth_changes(results.ceilings)) for results in devices}
    texts = {}
    for results in devices:
        own = moved[results.label]
        if own is None or results.trust.reasons != (own.words,):
            continue
        beside = [other.change for one in _siblings(results, devices) if (other := moved[one.label])]
        if state_beside(own.change, beside) == "degraded":
            texts[results.label] = f"{results.label}: {alone(own.words)}"
    return texts


def _first(faulty: dict[str, list[str]]) -> dict[str, str]:
    return {label: texts[0] for label, texts in faulty.items() if texts}


def ceiling_rows(devices: list[DeviceResults]) -> list[CeilingRow]:
    """Best measured rate of every ceiling of every device, with what it is judged by."""
    rows = []
    for results in devices:
        siblings = _siblings(results, devices)
        derived = results.profile is not None and results.profile.origin == "derived"
        sheet = None if derived else results.datasheet  # a derived figure is an estimate and fails no GPU
        for quantity, own in (("bandwidth", results.measured.bandwidth), ("matrix", results.measured.matrix)):
            for name, reached in own.items():
                beside = [r for r in (_rate(other, quantity, name) for other in siblings) if r is not None]
                published = _rate(results, quantity, name, datasheet=True) if sheet else None
                rows.append(
                    CeilingRow(
                        results.label,
                        quantity,
                        name,
                        reached,
                        published,
                        median(beside) if beside else None,
                        floor_of(results.profile),
                    )
                )
    return rows


def _siblings(results: DeviceResults, devices: list[DeviceResults]) -> list[DeviceResults]:
    """Other devices of the same model; simulated and real ones are never compared."""
    return [
        other for other in devices if identity(other) != identity(results)
        and other.device.name == results.device.name
        and other.run.info.simulated == results.run.info.simulated
    ]  # fmt: skip


def _rate(results: DeviceResults, quantity: str, name: str, *, datasheet: bool = False) -> float | None:
    roofs = results.datasheet if datasheet else results.measured
    if roofs is None:
        return None
    return (roofs.bandwidth if quantity == "bandwidth" else roofs.matrix).get(name)


def _labels(rows: list[CeilingRow]) -> list[str]:
    return list(dict.fromkeys(row.device for row in rows))


def _slow(label: str, rows: list[CeilingRow]) -> str | None:
    """One sentence on all low ceilings of a device: against its siblings where it has some."""
    low = [row for row in rows if row.device == label and row.low]
    if not low:
        return None
    total = sum(row.device == label for row in rows)
    worst = [row for row in low if row.against_siblings is not None]
    if worst:
        named = dict.fromkeys([*(row for row in worst if row.name == READ), worst[0]])
        figures = ", ".join(f"{row.name} {units.change(1 + (row.against_siblings or 0))}" for row in named)
        return f"{label}: {len(low)} of {total} ceilings below its siblings' median ({figures})"
    shares = [f"{row.name} {units.percent(row.against_datasheet)} of the datasheet" for row in low]
    return f"{label}: {', '.join(shares)}"


def _contradictions(devices: list[DeviceResults]) -> list[str]:
    """What a device reports against its catalog entry or itself, with both numbers, once per device."""
    real = [s for s in devices if s.device.kind == "cuda" and not s.run.info.simulated]
    texts = (
        f"{results.label}: {check.text}"
        for results in real
        for check in cross_check(results.device, results.profile)
        if check.level == "warning"
    )
    return list(dict.fromkeys(texts))


def _events(devices: list[DeviceResults]) -> tuple[dict[str, list[str]], list[str]]:
    """Sentences on clock-event reasons: faults by device, and the ordinary ones over all devices."""
    faulty: dict[str, list[str]] = {}
    mild, seen, cases = Counter[str](), set(), 0
    for results in devices:
        masks = [p.measurement.state.reasons for p in results.timed if p.measurement.state is not None]
        cases += len(masks)
        bad = Counter(reason for mask in masks for reason in faults(mask))
        faulty[results.label] = [
            f"{results.label}: {reason} in {n} of {len(masks)} cases" for reason, n in bad.most_common()
        ]
        usual = [reason for mask in masks for reason in words(mask) if reason not in bad and reason != "idle"]
        mild.update(usual)
        seen |= {results.label} if usual else set()
    where = "" if len(devices) == 1 else f" on {len(seen)} of {len(devices)} devices"
    return faulty, [f"{reason} in {n} of {cases} cases{where}" for reason, n in mild.most_common()]
