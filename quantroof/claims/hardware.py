"""Claims about hardware, judged by the catalog, by machine code and, where a run measured them, by rates."""

from __future__ import annotations

from collections.abc import Mapping

from quantroof.advisor.caveats import INT8_REFUSED
from quantroof.claims.claim import Claim, ClaimResult, Evidence, NumberClaim
from quantroof.hwprofiles import catalog, native
from quantroof.hwprofiles.compute import capabilities
from quantroof.hwprofiles.types import HardwareProfile, Peak, Unit

# A unit that multiplies 4 bits does twice what 8 bits get, 8 bits twice what 16 bits get; emulation is slower
# than the wider format (H100 NVL: int4 28 against int8 1410 TOP/s). Between lies a wide margin.
_WIDER = {"int4": "int8", "fp8_e4m3": "fp16", "fp8_e5m2": "fp16", "int8": "fp16"}
_NATIVE_RATIO = 1.2


class Support(Claim, frozen=True, kw_only=True, tag="support"):
    """A unit of `profile` multiplies `element` natively, or does not, as `states` says."""

    profile: str
    element: str
    states: bool
    unit: Unit = "matrix"

    def judge(self, evidence: Evidence) -> ClaimResult:
        """By catalog, machine code and measured rates, which must agree."""
        profile = catalog.profile(self.profile)
        witnesses = [_by_catalog(profile, self.element, self.unit)]
        if self.unit == "matrix":
            witnesses.append(_by_machine_code(profile, self.element))
            witnesses.append(_by_rate(evidence.rates.get(profile.id, {}), self.element))
        answers = {answer for answer, _ in witnesses if answer is not None}
        texts = tuple(text for _, text in witnesses if text)
        if len(answers) != 1:
            return self.undecided(*texts)
        return self.decided(answers == {self.states}, *texts)


class OnlyOn(Claim, frozen=True, kw_only=True, tag="only-on"):
    """Only GPUs of `architectures` have a matrix rate for `element`."""

    element: str
    architectures: tuple[str, ...]

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the catalog: one profile of another architecture refutes it."""
        others = [
            profile
            for profile in catalog.profiles().values()
            if profile.architecture not in self.architectures and _matrix_peak(profile, self.element)
        ]
        if not others:
            names = ", ".join(self.architectures)
            return self.decided(True, f"no profile outside {names} rates {self.element}")
        first = {profile.architecture: profile for profile in reversed(others)}
        examples = (
            f"catalog {profile.id} ({architecture}): {_peak_text(peak)}"
            for architecture, profile in first.items()
            if (peak := _matrix_peak(profile, self.element)) is not None
        )
        return self.decided(False, f"{len(others)} other profiles rate {self.element}", *examples)


class Everywhere(Claim, frozen=True, kw_only=True, tag="everywhere"):
    """Every GPU of the catalog has a matrix rate for `element`."""

    element: str

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the catalog: profiles whose rates are unknown are left out."""
        rated = [
            profile
            for profile in catalog.profiles().values()
            if profile.rate_class != "unknown" and any(peak.unit == "matrix" for peak in profile.peaks)
        ]
        without = [profile.id for profile in rated if _matrix_peak(profile, self.element) is None]
        if without:
            names = ", ".join(without)
            text = f"{len(without)} of {len(rated)} rated profiles have no {self.element} rate: {names}"
            refused = f"; {INT8_REFUSED}, and B300 has a thirtieth of B200's rate"
            return self.decided(False, text + (refused if self.element == "int8" else ""))
        return self.decided(True, f"all {len(rated)} rated profiles have it")


class LargestMemory(NumberClaim, frozen=True, kw_only=True, tag="largest-memory"):
    """No GPU has more than `value` GB."""

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the largest of the catalog."""
        largest = max(catalog.profiles().values(), key=lambda profile: profile.memory_gb)
        text = f"catalog {largest.id}: {largest.memory_gb:g} GB ({largest.sources['memory_gb']})"
        return self.decided(largest.memory_gb <= self.value * (1 + self.tolerance), text)


class Bandwidth(NumberClaim, frozen=True, kw_only=True, tag="bandwidth"):
    """`profile` has `value` GB/s."""

    profile: str

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the catalog."""
        figure = catalog.profile(self.profile).bandwidth_gbps
        text = f"catalog {self.profile}: {figure.value:g} GB/s ({figure.source}, {figure.basis})"
        return self.near(figure.value, text)


class BandwidthRatio(NumberClaim, frozen=True, kw_only=True, tag="bandwidth-ratio"):
    """`profile` has `value` times the bandwidth of `other`."""

    profile: str
    other: str

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the catalog."""
        one, two = catalog.profile(self.profile), catalog.profile(self.other)
        ratio = one.bandwidth_gbps.value / two.bandwidth_gbps.value
        text = f"{one.bandwidth_gbps.value:g} / {two.bandwidth_gbps.value:g} GB/s = {ratio:.3f}"
        return self.near(ratio, f"catalog {one.id} and {two.id}: {text}")


class PeakRate(NumberClaim, frozen=True, kw_only=True, tag="peak"):
    """`profile` has a rate of `value` TFLOP/s or TOP/s for `element`, dense unless `sparse`."""

    profile: str
    element: str
    accumulator: str | None = None
    sparse: bool = False

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the catalog."""
        profile = catalog.profile(self.profile)
        peak = profile.peak(self.element, self.accumulator)
        rate = None if peak is None else peak.sparse_tflops if self.sparse else peak.tflops
        if peak is None or rate is None:
            kind = "sparse" if self.sparse else "dense"
            return self.undecided(f"catalog {profile.id}: no {kind} rate for {self.element}")
        return self.near(rate, f"catalog {profile.id}: {_peak_text(peak, sparse=self.sparse)}")


class PeakRatio(NumberClaim, frozen=True, kw_only=True, tag="peak-ratio"):
    """`profile` runs `element` at `value` times the rate of `over`, on `other` or on itself."""

    profile: str
    element: str
    over: str
    other: str | None = None

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the catalog."""
        one, two = catalog.profile(self.profile), catalog.profile(self.other or self.profile)
        above, below = one.peak(self.element), two.peak(self.over)
        if above is None or below is None:
            unrated = f"{one.id} {self.element}" if above is None else f"{two.id} {self.over}"
            return self.undecided(f"no rate for {unrated}")
        text = f"catalog {one.id} {self.element} {above.tflops:g} / {two.id} {self.over} {below.tflops:g}"
        ratio = above.tflops / below.tflops
        return self.near(ratio, f"{text} = {ratio:.3f} ({above.source}; {below.source})")


HardwareClaim = (
    Support | OnlyOn | Everywhere | LargestMemory | Bandwidth | BandwidthRatio | PeakRate | PeakRatio
)


def _by_catalog(profile: HardwareProfile, element: str, unit: Unit) -> tuple[bool | None, str]:
    """A listed peak is a yes; a gap is a no where the table of the compute capability is complete."""
    peak = next((p for p in profile.peaks if p.unit == unit and p.element == element), None)
    if peak is not None:
        return True, f"catalog {profile.id}: {_peak_text(peak)}"
    capability = capabilities().get(profile.compute_capability)
    text = f"catalog {profile.id}: no {unit} rate for {element}"
    if capability is None or not capability.complete:
        return None, f"{text}, and its rates are not all known"
    elements = {e for u, e, _, _ in capability.rates() if u == unit}
    if element in elements:
        return None, f"{text}, though compute capability {profile.compute_capability} has one"
    return False, f"{text}; compute capability {profile.compute_capability} has {', '.join(sorted(elements))}"


def _by_machine_code(profile: HardwareProfile, element: str) -> tuple[bool | None, str]:
    paths = native.paths_of(element, profile.compute_capability)
    verdict = native.overall(element, profile.compute_capability)
    if verdict is None:
        return None, f"machine code: compute capability {profile.compute_capability} was not compiled"
    path = next(path for path in paths if path.verdict == verdict)
    text = f"machine code of {path.arch} ({native.compiler()}): {path.path} is {verdict}, {path.evidence}"
    return verdict == "native", text


def _by_rate(rates: Mapping[str, float], element: str) -> tuple[bool | None, str]:
    wider = _WIDER.get(element)
    mine, other = rates.get(element), rates.get(wider or "")
    if mine is None or not other:
        return None, ""
    ratio = mine / other
    return ratio >= _NATIVE_RATIO, f"measured: {mine / 1e12:.4g} TOP/s, {ratio:.2f} x {wider}"


def _matrix_peak(profile: HardwareProfile, element: str) -> Peak | None:
    return next((p for p in profile.peaks if p.element == element and p.unit == "matrix"), None)


def _peak_text(peak: Peak, *, sparse: bool = False) -> str:
    rate = peak.sparse_tflops if sparse else peak.tflops
    note = f"; {peak.note}" if peak.note else ""
    kind = "sparse" if sparse else "dense"
    unit = "TOP/s" if peak.element.startswith("int") else "TFLOP/s"
    return f"{rate:g} {unit} {kind} {peak.element}, {peak.accumulator} ({peak.source}, {peak.basis}{note})"
