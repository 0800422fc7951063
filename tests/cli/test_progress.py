"""What a run says of a line that was just measured."""

from __future__ import annotations

import re
import time

import pytest
from msgspec.structs import replace

from quantroof.bench.run import new_job
from quantroof.cli.output import working
from quantroof.cli.progress import Display
from quantroof.hwprofiles.simulated import simulated_devices
from quantroof.records.run import RunOptions
from quantroof.reports.text.run_lines import plan_lines, result_line
from tests.builders import gpu_device, measurement


@pytest.mark.parametrize(("samples", "words"), [(1, "us (one sample)"), (20, "us +-")])
def test_one_sample_claims_no_spread(samples: int, words: str) -> None:
    """A single sample has no interval: it never reads as +-0.0 %."""
    line = measurement(gpu_device(), "bf16", 1, (4096, 4096), 20_000, count=samples, spread=0.01, seed=1)

    assert words in result_line(line)


def test_a_pipe_gets_a_line_per_unfinished_device(capsys: pytest.CaptureFixture[str]) -> None:
    """Two devices, one of them done: only the other one says how far it is, and what it measured last."""
    options = RunOptions(suite="quick", devices=("sim:h100-sxm5-80gb*2",))
    job = new_job(options, simulated_devices("h100-sxm5-80gb*2"), ("quantroof",))
    first, second = (device.id for device in job.info.devices)
    measured = measurement(gpu_device(), "bf16", 1, (4096, 4096), 20_000)
    planned = sum(len(plan.keys) for plan in job.plans if plan.device.id == first)
    with Display(job, quiet=False, every_s=0.2) as display:
        for _ in range(planned):
            display.line(replace(measured, device=first))
        display.line(replace(measured, device=second))
        time.sleep(0.3)
    printed = capsys.readouterr().err.splitlines()

    assert printed
    assert all(line.startswith(f"{second} 1 of {planned} after ") and "bf16" in line for line in printed)


@pytest.mark.parametrize(
    ("terminal", "slow", "told"), [(True, 9, True), (False, 9, False), (False, 0.05, True)]
)
def test_what_takes_seconds_is_not_silent(
    terminal: bool,
    slow: float,
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A terminal shows at once what is done; a pipe gets one line where it takes long, else nothing."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setattr("quantroof.cli.output._SLOW_S", slow)
    monkeypatch.setenv("TERM", "xterm")
    with working("building the page"):
        time.sleep(0.15)

    assert ("building the page" in capsys.readouterr().err) is told


def test_a_simulated_plan_has_the_estimate_of_its_gpu() -> None:
    """With `about` and the suite; tests/bench/test_plan.py compares estimates with runs."""
    options = RunOptions(suite="default", devices=("sim:h100-sxm5-80gb",))
    job = new_job(options, simulated_devices("h100-sxm5-80gb"), ("quantroof",))
    first, *_ = plan_lines(job)

    assert re.fullmatch(
        r"in all about [\d.]+ min on such a device, seconds to simulate; suite default", first
    )
