"""Baseline files that were changed after they were written, and numbers of files that disarm a gate."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from quantroof.errors import UsageError
from quantroof.gate.baseline import Baseline, parse, text_of
from quantroof.gate.policy import Policy, require_sensible
from quantroof.records.directory import Run
from tests.gate.test_bad_input import Edit, check

HAND_EDITS: list[Edit] = [
    lambda d: d["cases"].popitem(),  # type: ignore[attr-defined]
    lambda d: d["runs"].pop(),  # type: ignore[attr-defined]
    lambda d: next(iter(d["cases"].values())).update(scale=0.5),  # type: ignore[attr-defined]
    lambda d: d["kernels"].clear(),  # type: ignore[attr-defined]
    lambda d: d.update(digest="0"),
]


@pytest.mark.parametrize("edit", HAND_EDITS, ids=["a case", "a run", "a spread", "kernels", "the digest"])
def test_a_baseline_that_lost_what_it_held(
    capsys: pytest.CaptureFixture[str], now: Run, baseline_file: Path, tmp_path: Path, edit: Edit
) -> None:
    """One edit of a written file: exit 2, because a gate without a case would pass what it no longer sees."""
    data = json.loads(baseline_file.read_text())
    edit(data)
    baseline_file.write_text(json.dumps(data))
    code, out, err = check(capsys, now, baseline_file, tmp_path)

    assert (code, out) == (2, "")
    assert "was changed after it was written" in err


def test_the_digest_does_not_depend_on_the_layout(
    capsys: pytest.CaptureFixture[str], now: Run, baseline_file: Path, tmp_path: Path
) -> None:
    """A file that a formatter indented anew holds the same and is accepted."""
    baseline_file.write_text(json.dumps(json.loads(baseline_file.read_text()), indent=8, sort_keys=True))

    assert check(capsys, now, baseline_file, tmp_path)[0] == 0


def test_a_field_that_a_later_version_adds_keeps_old_digests(baseline: Baseline) -> None:
    """The digest is of the file's own fields: without one that has a default it is still right."""
    data = json.loads(text_of(baseline))
    del data["digest"], data["contract"]["environment"]
    older = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    assert parse(json.dumps({**data, "digest": older}).encode(), "b.json").cases == baseline.cases


@pytest.mark.parametrize(("value", "accepted"), [("runs", 1000), ("scale", 10.0), ("process", 10.0)])
def test_numbers_of_a_case_have_bounds(baseline: Baseline, value: str, accepted: float) -> None:
    """A spread of 1000 % and 1,000 runs are read; more is a mistake or an attack on memory."""
    name, band = next(iter(baseline.cases.items()))

    def text(number: float) -> bytes:
        changed = msgspec.structs.replace(band, **{value: number})
        return text_of(msgspec.structs.replace(baseline, cases={name: changed})).encode()

    assert parse(text(accepted), "b.json").cases[name]
    with pytest.raises(UsageError, match="not a valid baseline"):
        parse(text(accepted + 1), "b.json")


@pytest.mark.parametrize(("share", "accepted"), [(0.5, True), (0.51, False)])
def test_an_absolute_threshold_is_small_beside_its_case(share: float, accepted: bool) -> None:
    """Half the time of a case forgives a timer's noise; more would let a real slowdown pass."""
    policy, case = Policy(absolute_ns=share * 4000), {("gemm/x", "torch.linear"): 4000.0}
    if accepted:
        require_sensible(policy, case, "gate.toml")
        return
    with pytest.raises(UsageError, match=r"absolute_ns = 2040 is 51% of the time of gemm/x torch\.linear"):
        require_sensible(policy, case, "gate.toml")
