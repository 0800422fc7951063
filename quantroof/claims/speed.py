"""Claims about speed, judged by the kernels that runs timed on real devices."""

from __future__ import annotations

from quantroof.analysis.speed import baseline, speed_ups
from quantroof.claims.claim import Claim, ClaimResult, Count, Evidence

_QUANTIZED = ("int", "fp8", "nf4")


class MeasuredSpeedUp(Claim, frozen=True, kw_only=True, tag="measured-speedup"):
    """`format` is `low` to `high` times as fast as 16 bit at `batch`, on `profile` or on any GPU measured."""

    format: str
    low: float = 0.0
    high: float | None = None
    profile: str | None = None
    batch: Count = 1

    def judge(self, evidence: Evidence) -> ClaimResult:
        """By the interval of the speed-up over all layers of the first device that has it."""
        where = self.profile or "a GPU"
        command = f"quantroof run on {where}, then quantroof claims --run RUN"
        for results, choices in evidence.timed:
            device = results.device
            if device.kind != "cuda" or (self.profile and device.profile_id != self.profile):
                continue
            ratio = next((by.get(self.format) for m, by in speed_ups(choices) if m == self.batch), None)
            if ratio is None:
                continue
            text = (
                f"{device.name}, M = {self.batch}: {self.format}"
                f" {ratio.median:.2f}x [{ratio.low:.2f}, {ratio.high:.2f}] of {baseline(choices)}, all layers"
            )
            holds = ratio.high >= self.low and (self.high is None or ratio.low <= self.high)
            return self.decided(holds, text, command=command)
        return self.undecided(f"needs a GPU: {self.format} was not timed on {where} here", command=command)


class NeverSlower(Claim, frozen=True, kw_only=True, tag="never-slower"):
    """No quantized format is slower than 16 bit at any batch of any device measured."""

    def judge(self, evidence: Evidence) -> ClaimResult:
        """One slower case refutes it; no run proves it."""
        command = "quantroof run, then quantroof claims --run RUN"
        for results, choices in evidence.timed:
            slower = [
                (m, name, ratio)
                for m, by in speed_ups(choices)
                for name, ratio in by.items()
                if ratio.high < 1 and name.startswith(_QUANTIZED)
            ]
            if slower:
                m, name, ratio = min(slower, key=lambda entry: entry[2].median)
                speed = f"{name} runs at {ratio.median:.2f}x of {baseline(choices)}"
                text = f"{results.device.name}, M = {m}: {speed}; {len(slower)} such cases in all"
                return self.decided(False, text, command=command)
        reason = "nothing was slower where it was measured" if evidence.timed else "no device was measured"
        return self.undecided(f"needs a run: {reason}", command=command)


SpeedClaim = MeasuredSpeedUp | NeverSlower
