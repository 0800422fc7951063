"""Judges claims about hardware: by the catalog, by machine code and, where a run measured them, by rates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from quantroof.claims.model import Claim, Evaluator, Judgement, judged, near, need, undecided
from quantroof.hwprofiles import catalog, native
from quantroof.hwprofiles.compute import capabilities
from quantroof.hwprofiles.types import HardwareProfile, Peak, Unit

# Rates in operations a second by profile and element, from a run on such a device.
Measured = Mapping[str, Mapping[str, float]]

# A unit that multiplies 4 bits does twice what 8 bits get, 8 bits twice what 16 bits get; emulation is slower
# than the wider format (H100 NVL: int4 28 against int8 1410 TOP/s). Between lies a wide margin.
_WIDER = {"int4": "int8", "fp8_e4m3": "fp16", "fp8_e5m2": "fp16", "int8": "fp16"}
_NATIVE_RATIO = 1.2


def evaluators(measured: Measured | None = None) -> dict[str, Evaluator]:
    """The evaluator of every hardware kind; `measured` adds rates of devices that were at hand."""
    return {
        "support": partial(_support, measured or {}),
        "only-on": _only_on,
        "everywhere": _everywhere,
        "largest-memory": _largest_memory,
        "bandwidth": _bandwidth,
        "bandwidth-ratio": _bandwidth_ratio,
        "peak": _peak,
        "peak-ratio": _peak_ratio,
    }


def _support(measured: Measured, claim: Claim) -> Judgement:
    """A format is supported where a unit multiplies it natively: three witnesses, who must agree."""
    profile, element = _profile(claim), need(claim, "element", claim.element)
    witnesses = [_by_catalog(profile, element, claim.unit)]
    if claim.unit == "matrix":
        witnesses.append(_by_machine_code(profile, element))
        witnesses.append(_by_rate(measured.get(profile.id, {}), element))
    answers = {answer for answer, _ in witnesses if answer is not None}
    evidence = tuple(text for _, text in witnesses if text)
    if len(answers) != 1:
        return undecided(claim, *evidence)
    return judged(claim, answers == {claim.states}, *evidence)


def _by_catalog(profile: HardwareProfile, element: str, unit: Unit) -> tuple[bool | None, str]:
    """A listed peak is a yes; a gap is a no where the table of the compute capability is complete."""
    found = next((p for p in profile.peaks if p.unit == unit and p.element == element), None)
    if found is not None:
        return True, f"catalog {profile.id}: {_peak_text(found)}"
    capability = capabilities().get(profile.compute_capability)
    text = f"catalog {profile.id}: no {unit} rate for {element}"
    if capability is None or not capability.complete:
        return None, f"{text}, and its rates are not all known"
    listed = {e for u, e, _, _ in capability.rates() if u == unit}
    if element in listed:
        return None, f"{text}, though compute capability {profile.compute_capability} has one"
    return False, f"{text}; compute capability {profile.compute_capability} has {', '.join(sorted(listed))}"


def _by_machine_code(profile: HardwareProfile, element: str) -> tuple[bool | None, str]:
    paths = native.paths_of(element, profile.compute_capability)
    verdict = native.overall(element, profile.compute_capability)
    if verdict is None:
        return None, f"machine code: compute capability {profile.compute_capability} was not compiled"
    decisive = [c for c in paths if c.verdict == verdict]
    shown = decisive[0]
    text = f"machine code of {shown.arch} ({native.compiler()}): {shown.path} is {verdict}, {shown.evidence}"
    return verdict == "native", text


def _by_rate(rates: Mapping[str, float], element: str) -> tuple[bool | None, str]:
    wider = _WIDER.get(element)
    mine, other = rates.get(element), rates.get(wider or "")
    if mine is None or not other:
        return None, ""
    ratio = mine / other
    return ratio >= _NATIVE_RATIO, f"measured: {mine / 1e12:.4g} TOP/s, {ratio:.2f} x {wider}"


def _only_on(claim: Claim) -> Judgement:
    element = need(claim, "element", claim.element)
    others = [
        p
        for p in catalog.profiles().values()
        if p.architecture not in claim.architectures and _has(p, element)
    ]
    if not others:
        text = f"no profile outside {', '.join(claim.architectures)} rates {element}"
        return judged(claim, True, text)
    shown = {p.architecture: p for p in reversed(others)}
    witnesses = (f"catalog {p.id} ({a}): {_peak_text(_first(p, element))}" for a, p in shown.items())
    return judged(claim, False, f"{len(others)} other profiles rate {element}", *witnesses)


def _everywhere(claim: Claim) -> Judgement:
    element = need(claim, "element", claim.element)
    known = [p for p in catalog.profiles().values() if p.rate_class != "unknown"]
    rated = [p for p in known if any(k.unit == "matrix" for k in p.peaks)]
    lacking = [p.id for p in rated if not _has(p, element)]
    if lacking:
        text = f"{len(lacking)} of {len(rated)} rated profiles have no {element} rate: {', '.join(lacking)}"
        return judged(claim, False, text)
    return judged(claim, True, f"all {len(rated)} rated profiles have it")


def _largest_memory(claim: Claim) -> Judgement:
    largest = max(catalog.profiles().values(), key=lambda p: p.memory_gb)
    value = need(claim, "value", claim.value)
    text = f"catalog {largest.id}: {largest.memory_gb:g} GB ({largest.sources['memory_gb']})"
    return judged(claim, largest.memory_gb <= value * (1 + claim.tolerance), text)


def _bandwidth(claim: Claim) -> Judgement:
    profile = _profile(claim)
    figure = profile.bandwidth_gbps
    text = f"catalog {profile.id}: {figure.value:g} GB/s ({figure.source}, {figure.basis})"
    return near(claim, figure.value, text)


def _bandwidth_ratio(claim: Claim) -> Judgement:
    one, two = _profile(claim), catalog.profile(need(claim, "other", claim.other))
    ratio = one.bandwidth_gbps.value / two.bandwidth_gbps.value
    text = f"{one.bandwidth_gbps.value:g} / {two.bandwidth_gbps.value:g} GB/s = {ratio:.3f}"
    return near(claim, ratio, f"catalog {one.id} and {two.id}: {text}")


def _peak(claim: Claim) -> Judgement:
    profile, element = _profile(claim), need(claim, "element", claim.element)
    found = profile.peak(element, claim.accumulator)
    rate = None if found is None else found.sparse_tflops if claim.sparse else found.tflops
    if found is None or rate is None:
        text = f"catalog {profile.id}: no {'sparse' if claim.sparse else 'dense'} rate for {element}"
        return undecided(claim, text)
    return near(claim, rate, f"catalog {profile.id}: {_peak_text(found, sparse=claim.sparse)}")


def _peak_ratio(claim: Claim) -> Judgement:
    one = _profile(claim)
    two = catalog.profile(claim.other) if claim.other else one
    element, over = need(claim, "element", claim.element), need(claim, "over", claim.over)
    above, below = one.peak(element), two.peak(over)
    if above is None or below is None:
        missing = f"{one.id} {element}" if above is None else f"{two.id} {over}"
        return undecided(claim, f"no rate for {missing}")
    text = f"catalog {one.id} {element} {above.tflops:g} / {two.id} {over} {below.tflops:g}"
    ratio = above.tflops / below.tflops
    return near(claim, ratio, f"{text} = {ratio:.3f} ({above.source}; {below.source})")


def _has(profile: HardwareProfile, element: str) -> bool:
    return any(p.element == element and p.unit == "matrix" for p in profile.peaks)


def _first(profile: HardwareProfile, element: str) -> Peak:
    return next(p for p in profile.peaks if p.element == element and p.unit == "matrix")


def _peak_text(peak: Peak, *, sparse: bool = False) -> str:
    rate = peak.sparse_tflops if sparse else peak.tflops
    note = f"; {peak.note}" if peak.note else ""
    kind = "sparse" if sparse else "dense"
    unit = "TOP/s" if peak.element.startswith("int") else "TFLOP/s"
    return f"{rate:g} {unit} {kind} {peak.element}, {peak.accumulator} ({peak.source}, {peak.basis}{note})"


def _profile(claim: Claim) -> HardwareProfile:
    return catalog.profile(need(claim, "profile", claim.profile))
