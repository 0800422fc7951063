"""Health of small runs, where one value decides the state, its reason or the order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from quantroof.analysis.device_results import device_results
from quantroof.analysis.health import NO_CEILING, NO_REFERENCE, CeilingRow, HealthReport, judge_health
from quantroof.analysis.run_verdict import run_verdict
from quantroof.analysis.verdicts import BY_ITSELF, Verdict, gravest
from quantroof.errors import ExitCode
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import Run
from quantroof.records.lines import AnyRecord, Ceiling
from tests.analysis.lines import at_rate, exact
from tests.analysis.test_trust import loaded
from tests.builders import H100, ceilings, cpu_device, gpu_device, info, run, state, unmeasured

GPU = gpu_device()
READ = 3.1e12  # 92.5 % of the datasheet


def _rates(device: Device, **rates: float) -> list[Ceiling]:
    """Bandwidths and matrix rates of a device to the last digit."""
    known = {ceiling.name: ceiling for ceiling in ceilings(device, 1e12, {"bf16": 1e14, "fp32": 1e13})}
    return [at_rate(known[name], rate) for name, rate in rates.items()]


def _health(devices: Sequence[Device], lines: Sequence[AnyRecord]) -> HealthReport:
    return judge_health(device_results([run(info(devices), lines)]))


def _measured(device: Device = GPU, m: int = 1, **own: Any) -> AnyRecord:
    return replace(exact(device, "bf16", 20_000.0, m=m), state=replace(state(), **own))


def _row(
    share: float | None, beside: float | None, quantity: str = "bandwidth", name: str = "read"
) -> CeilingRow:
    return CeilingRow(
        "cuda:0", quantity, name, 100.0, None if share is None else 100 / share,
        None if beside is None else 100 / (1 + beside),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("row", "low"),
    [
        (_row(0.86, None), False),
        (_row(0.84, None), True),
        (_row(0.84, None, name="copy"), False),
        (_row(0.84, None, "matrix", "read"), False),
        (_row(None, -0.04), False),
        (_row(None, -0.06), True),
        (_row(None, -0.06, "matrix", "bf16"), True),
        (_row(0.86, -0.06), True),
        (_row(0.84, 0.02), True),
        (_row(0.86, 0.06), False),
        (_row(None, None), False),
    ],
)
def test_a_ceiling_is_low_by_either_floor(row: CeilingRow, *, low: bool) -> None:
    """A read below 85 % of the datasheet, or any ceiling 5 % below its siblings."""
    assert row.low is low


def test_a_share_and_a_distance_need_what_they_are_of() -> None:
    """100 beside 80 is 25 % more, and of 125 it is 80 %."""
    assert _row(0.8, 0.25).against_datasheet == pytest.approx(0.8)
    assert _row(0.8, 0.25).against_siblings == pytest.approx(0.25)
    assert (_row(None, None).against_datasheet, _row(None, None).against_siblings) == (None, None)


def test_rows_start_with_what_is_low_and_then_with_the_slowest() -> None:
    """A device without siblings stands between those below and those above their siblings."""
    devices = [*(gpu_device(index=i) for i in range(3)), gpu_device(index=3, name="NVIDIA H200")]
    rates = (READ * 0.99, READ * 0.93, READ * 1.01, READ)
    lines = [line for device, rate in zip(devices, rates, strict=True) for line in _rates(device, read=rate)]
    rows = _health(devices, lines).rows

    assert [row.device for row in rows] == ["cuda:1", "cuda:3", "cuda:0", "cuda:2"]
    assert [row.low for row in rows] == [True, False, False, False]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"ecc_errors": 2.0}, "cuda:0: 3 uncorrected memory errors came while it was measured"),
        ({"xid": (79, 48)}, "cuda:0: the driver reported XID 48, 79"),
        ({"xid": (79,), "ecc_errors": 1.0}, "cuda:0: 2 uncorrected memory errors came while it was measured"),
    ],
)
def test_errors_of_the_device_fail_it(own: dict[str, Any], words: str) -> None:
    """Memory errors are summed over the cases, codes named once in order; they come before all else."""
    other: dict[str, Any] = {name: 1.0 if name == "ecc_errors" else value for name, value in own.items()}
    lines = [_measured(GPU, 1, **own), _measured(GPU, 2, **other)]
    health = _health([GPU], [*_rates(GPU, read=READ * 0.5), *lines])

    assert health.verdict == Verdict("failed", words)
    assert health.findings[0] == words
    assert health.verdict.exit_code is ExitCode.FINDING


def test_a_device_without_errors_is_not_failed() -> None:
    """No counter, or a counter of zero."""
    health = _health([GPU], [*_rates(GPU, read=READ), _measured(), _measured(m=2, ecc_errors=0.0)])

    assert health.verdict == Verdict("ok", BY_ITSELF)
    assert health.verdict.words == f"ok ({BY_ITSELF})"
    assert health.findings == ()


@pytest.mark.parametrize(
    ("rates", "verdict"),
    [
        ({"read": READ}, Verdict("ok", BY_ITSELF)),
        ({"read": READ, "fp32": 5e13, "bf16": 7e14, "copy": 2e12}, Verdict("ok", BY_ITSELF)),
        ({"bf16": 7e14}, Verdict("unknown", NO_REFERENCE)),
        ({}, Verdict("unknown", NO_CEILING)),
    ],
)
def test_a_lone_device_is_judged_by_its_read(rates: dict[str, float], verdict: Verdict) -> None:
    """Whatever else was measured beside it; without a read there is nothing to compare with."""
    assert _health([GPU], _rates(GPU, **rates)).devices["cuda:0"] == verdict


def test_a_cpu_alone_has_no_reference() -> None:
    """No datasheet knows its memory, but its run is not unknown for that."""
    cpu = cpu_device()
    built = run(info([cpu]), [*_rates(cpu, read=2e10), exact(cpu, "bf16", 1e6)])

    assert judge_health(device_results([built])).verdict == Verdict("unknown", NO_REFERENCE)
    assert run_verdict(built) == Verdict("ok")


def test_one_ceiling_with_a_sibling_is_enough() -> None:
    """Two GPUs read alike, and one of them alone multiplied: both are ok by comparison."""
    devices = [GPU, gpu_device(index=1)]
    health = _health(devices, [*_rates(devices[0], read=READ, bf16=7e14), *_rates(devices[1], read=READ)])

    assert health.devices == {"cuda:0": Verdict("ok"), "cuda:1": Verdict("ok")}


@pytest.mark.parametrize(
    ("rates", "count", "figures"),
    [
        ({"read": 0.93}, 1, "read -7.0 %"),
        ({"bf16": 0.93}, 1, "bf16 -7.0 %"),
        ({"read": 0.93, "bf16": 0.91}, 2, "read -7.0 %, bf16 -9.0 %"),
        ({"copy": 0.93, "bf16": 0.9}, 2, "bf16 -10.0 %"),
    ],
)
def test_a_slow_device_is_named_with_its_read_and_its_worst_ceiling(
    rates: dict[str, float], count: int, figures: str
) -> None:
    """Of four GPUs of one model; the finding, the verdict and the run say the same."""
    words = f"{count} of 3 ceilings below its siblings' median ({figures})"
    devices = [gpu_device(index=i) for i in range(4)]
    usual = {"read": READ, "copy": 2.9e12, "bf16": 7e14}
    lines = [line for device in devices[:3] for line in _rates(device, **usual)]
    lines += _rates(devices[3], **{name: rate * rates.get(name, 1.0) for name, rate in usual.items()})
    health = _health(devices, lines)

    assert health.devices["cuda:3"] == health.verdict == Verdict("degraded", f"cuda:3: {words}")
    assert health.findings == (f"cuda:3: {words}",)
    assert run_verdict(run(info(devices), lines)) == health.verdict
    assert [health.devices[f"cuda:{i}"] for i in range(3)] == [Verdict("ok")] * 3


def test_a_slow_lone_device_is_named_with_its_share() -> None:
    """80 % of the datasheet."""
    health = _health([GPU], _rates(GPU, read=H100.bandwidth_bytes_per_s * 0.8, bf16=7e14))

    assert health.verdict == Verdict("degraded", "cuda:0: read 80 % of the datasheet")


def test_a_derived_datasheet_fails_no_device() -> None:
    """A figure by formula is an estimate: half of it leaves the device without a reference."""
    built = run(info([GPU]), _rates(GPU, read=H100.bandwidth_bytes_per_s / 2))
    built.info = replace(built.info, profiles={"cuda:0": replace(H100, origin="derived")})

    assert judge_health(device_results([built])).verdict == Verdict("unknown", NO_REFERENCE)


def test_a_disturbed_device_is_unknown_whatever_it_reached() -> None:
    """Half of the datasheet beside other processes says nothing, and is not a finding."""
    line = loaded(exact(GPU, "bf16", 20_000.0))
    health = _health([GPU], [*_rates(GPU, read=READ / 2), line])

    assert health.verdict.state == "unknown"
    assert "other processes kept 1.5 cores busy" in (health.verdict.reason or "")
    assert health.findings == ()


def test_siblings_are_other_devices_of_one_model() -> None:
    """Two runs on one GPU are not siblings, nor are another model or a simulated device."""

    def built(device: Device, read: float, *, simulated: bool = False) -> Run:
        return run(info([device], simulated=simulated), _rates(device, read=read))

    def siblings(*runs: Run) -> list[float | None]:
        return [row.siblings for row in judge_health(device_results(list(runs))).rows]

    other, h200 = gpu_device(index=1), gpu_device(index=2, name="NVIDIA H200")
    assert siblings(built(GPU, 1e12), built(GPU, 2e12)) == [None, None]
    assert siblings(built(GPU, 1e12), built(h200, 2e12)) == [None, None]
    assert siblings(built(GPU, 1e12), built(other, 2e12, simulated=True)) == [None, None]
    assert siblings(built(GPU, 1e12), built(other, 2e12)) == [pytest.approx(2e12), pytest.approx(1e12)]


def test_without_a_device_nothing_is_known() -> None:
    """A run that has none, and several states of which the gravest counts."""
    assert judge_health([]).verdict == Verdict("unknown", "the run has no device")
    assert gravest(["ok", "unknown"]) == "unknown"
    assert (Verdict("unknown", "because").words, Verdict("ok").words) == ("unknown", "ok")


@pytest.mark.parametrize("count", [1, 2])
def test_faults_are_findings_and_ordinary_events_are_remarks(count: int) -> None:
    """A thermal slowdown of the hardware degrades; a power cap is said with how often; idle is not said."""
    devices = [gpu_device(index=i) for i in range(count)]
    lines = [
        _measured(device, m=m, reasons=reasons if device.index == 0 else 0x1)
        for device in devices
        for m, reasons in enumerate((0x44, 0x40, 0x1, 0x4), 1)
    ]
    health = _health(devices, [*lines, *(line for d in devices for line in _rates(d, read=READ))])
    where = "" if count == 1 else " on 1 of 2 devices"

    assert health.findings == ("cuda:0: thermal slowdown (hardware) in 2 of 4 cases",)
    assert health.devices["cuda:0"] == Verdict("degraded", health.findings[0])
    assert [text for text in health.remarks if "cases" in text] == [
        f"power cap (software) in 2 of {4 * count} cases{where}"
    ]


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ([], Verdict("unknown", "nothing was timed")),
        (_rates(GPU, read=READ), Verdict("ok")),
        ([exact(GPU, "bf16", 20_000.0)], Verdict("ok")),
        ([exact(GPU, "bf16", 20_000.0), *_rates(GPU, read=READ)], Verdict("ok")),
        ([unmeasured(GPU, "bf16", 1, (8, 8), "skipped", "too big")], Verdict("unknown", "nothing was timed")),
        (
            [unmeasured(GPU, "bf16", 1, (8, 8), "failed", "out of memory"), exact(GPU, "bf16", 20_000.0)],
            Verdict("failed", "1 kernel failed or computed a wrong result"),
        ),
        (
            [unmeasured(GPU, "bf16", m, (8, 8), "incorrect", "relative error 0.9") for m in (1, 2)],
            Verdict("failed", "2 kernels failed or computed a wrong result"),
        ),
    ],
)  # fmt: skip
def test_a_run_ends_in_what_its_lines_show(lines: Sequence[AnyRecord], verdict: Verdict) -> None:
    """A ceiling or a time is enough to have timed something; a second device without any does not matter."""
    assert run_verdict(run(info([GPU]), lines)) == verdict
    assert run_verdict(run(info([GPU, gpu_device(index=1)]), lines)) == verdict


def test_a_state_of_one_case_is_not_needed() -> None:
    """A line without any state is counted by no event and breaks nothing."""
    line = exact(GPU, "bf16", 20_000.0)
    health = _health([GPU], [*_rates(GPU, read=READ), replace(line, state=None), _measured(m=2, reasons=0x4)])

    assert [text for text in health.remarks if "cases" in text] == ["power cap (software) in 1 of 1 cases"]


@pytest.mark.parametrize(("disturbed", "state_word"), [(False, "degraded"), (True, "unknown")])
def test_a_read_that_fell_on_one_device_alone_degrades_it(disturbed: bool, state_word: str) -> None:
    """By a fifth during the run, while two siblings' stayed. Beside other processes it is unknown."""
    devices = [gpu_device(index=i) for i in range(3)]
    lines: list[AnyRecord] = []
    for device in devices:
        line = exact(device, "bf16", 20_000.0)
        lines += [loaded(line) if disturbed and device.index == 0 else line, *_rates(device, read=READ)]
        fell = _rates(device, read=READ * (0.8 if device.index == 0 else 1.0))
        lines += [replace(ceiling, moment="end") for ceiling in fell]
    health = _health(devices, lines)
    words = "cuda:0: the read ceiling fell 20 % during the run, most siblings' did not"

    assert health.devices["cuda:0"].state == health.verdict.state == state_word
    assert health.findings == (() if disturbed else (words,))
    assert [health.devices[f"cuda:{i}"].state for i in (1, 2)] == ["ok", "ok"]
