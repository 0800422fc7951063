"""A gate's policy, as TOML: thresholds per glob, waivers with reason and expiry date, floors below the roof.

A waiver that has expired or matches nothing is an error, so that exceptions do not outlive their reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import msgspec

from quantroof.errors import UsageError
from quantroof.files import read_toml
from quantroof.gate.band import DEFAULT_THRESHOLD
from quantroof.gate.baseline import join_name
from quantroof.gate.environment import Tolerance
from quantroof.gate.times import Key

SCHEMA = "quantroof-gate/1"
_LARGEST_SHARE = 0.5
"""An absolute threshold forgives timer noise of nanoseconds; beyond this share it hides slowdowns."""

Fraction = Annotated[float, msgspec.Meta(gt=0, le=1)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Duration = Annotated[float, msgspec.Meta(ge=0)]


class Threshold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counts as a regression for the cases that `case` (a glob over `case kernel`) matches."""

    case: Text
    relative: Fraction | None = None
    absolute_ns: Duration | None = None


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A slowdown of up to `allow` that does not fail until the waiver expires, with the reason."""

    case: Text
    allow: Fraction
    reason: Text
    expires: date
    issue: str | None = None


class OwnRuns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `quantroof gate` measures by itself: which suite, how often, and against what."""

    suite: Text
    base: Text | None = None
    """The branch that a change is compared with: its merge base is the base revision."""
    device: Text | None = None
    processes: Annotated[int, msgspec.Meta(ge=3)] = 5
    pairs: Annotated[int, msgspec.Meta(ge=6, le=40)] = 10
    baselines: Text = "baselines"


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a repository may decide about its gate. The last matching threshold wins."""

    schema: str = SCHEMA
    relative: Fraction = DEFAULT_THRESHOLD
    absolute_ns: Duration = 20.0
    threshold: tuple[Threshold, ...] = ()
    waiver: tuple[Waiver, ...] = ()
    min_roof: dict[str, Fraction] = {}
    environment: Tolerance = Tolerance()
    run: OwnRuns | None = None

    def limits(self, key: Key) -> tuple[float, float]:
        """(relative, absolute in ns) of a case."""
        relative, absolute = self.relative, self.absolute_ns
        for rule in self.threshold:
            if matches(rule.case, key):
                relative = relative if rule.relative is None else rule.relative
                absolute = absolute if rule.absolute_ns is None else rule.absolute_ns
        return relative, absolute

    def waiver_for(self, key: Key) -> Waiver | None:
        """The waiver that applies to a case."""
        return next((waiver for waiver in self.waiver if matches(waiver.case, key)), None)

    def require_current(self, keys: Iterable[Key], today: date, where: str) -> None:
        """UsageError for an expired waiver, and for a waiver or threshold that matches no case."""
        cases = list(keys)
        for waiver in self.waiver:
            if waiver.expires < today:
                hint = f"fix the case, or renew the waiver; its reason was: {waiver.reason}"
                raise UsageError(
                    f"waiver '{waiver.case}' expired on {waiver.expires}", where=where, hint=hint
                )
        for kind, rules in (("waiver", self.waiver), ("threshold", self.threshold)):
            for rule in rules:
                if not any(matches(rule.case, key) for key in cases):
                    hint = "remove it, or correct its glob over `case kernel`"
                    raise UsageError(f"{kind} '{rule.case}' matches no case", where=where, hint=hint)


def require_sensible(policy: Policy, case_ns: Mapping[Key, float], where: str) -> None:
    """UsageError for an absolute threshold that would let a case take more than half its time again."""
    for key, ns in case_ns.items():
        _, absolute_ns = policy.limits(key)
        if absolute_ns > _LARGEST_SHARE * ns:
            what = f"absolute_ns = {absolute_ns:g} is {absolute_ns / ns:.0%} of the time of {join_name(key)}"
            raise UsageError(what, where=where, hint=f"at most {_LARGEST_SHARE:.0%} of a case's time")


def matches(glob: str, key: Key) -> bool:
    """Whether a glob matches `case kernel`, or the case alone."""
    return fnmatchcase(join_name(key), glob) or fnmatchcase(key[0], glob)


def read_policy(path: Path) -> Policy:
    """Read a policy file; UsageError with the file and the key of anything invalid."""
    return read_toml(path, Policy, SCHEMA)


def parse_floor(text: str) -> tuple[str, float]:
    """`int4-w4a16:0.6` as a scheme glob and a fraction of the roof."""
    name, colon, fraction = text.rpartition(":")
    try:
        value = float(fraction)
    except ValueError:
        value = 0.0
    if not colon or not name or not 0 < value <= 1:
        raise UsageError(f"'{text}' is not a floor", hint="write FORMAT:FRACTION, such as int4-w4a16:0.6")
    return name, value
