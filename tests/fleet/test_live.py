"""What NVML says before and under a load, from a real library: the fake NVML in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.hwprofiles.conftest import environment_of, fake_nvml

__all__ = ["environment_of", "fake_nvml"]  # fixtures

_WATCH = """
import json, time
from quantroof.analysis.verdicts import state_of
from quantroof.fleet.live import HealthMonitor
from quantroof.hwprofiles.detect import detect
watch = HealthMonitor(detect().gpus)
watch.look()
with watch:
    time.sleep(0.2)
watch.look(loaded=True)
found = [[state_of(f.level), f.code, f.text] for f in watch.findings["cuda:0"]]
print(json.dumps([found, [d.id for d in watch.busy()]]))
"""


@pytest.fixture
def watched(environment_of: Callable[..., dict[str, str]]) -> Callable[..., list[Any]]:
    """Findings of the first GPU, and the busy devices."""

    def run(**variables: Any) -> list[Any]:
        done = subprocess.run(
            [sys.executable, "-c", _WATCH], env=environment_of(**variables), capture_output=True, check=True
        )
        found: list[Any] = json.loads(done.stdout)
        return found

    return run


@pytest.mark.parametrize(
    ("variables", "state", "code", "words"),
    [
        ({"FAKE_ECC_ERRORS": 3}, "failed", "ecc_errors", "3 uncorrected memory errors"),
        ({"FAKE_ROWS_PENDING": 1}, "degraded", "row_remapping", "pending until a reset"),
        ({"FAKE_REASONS": 0x40}, "degraded", "slowdown", "thermal slowdown"),
        ({"FAKE_GENERATION": 3}, "degraded", "pcie_generation", "generation 3 under load, the link can 5"),
    ],
)
def test_a_sick_gpu_is_told(
    watched: Callable[..., list[Any]], variables: dict[str, int], state: str, code: str, words: str
) -> None:
    """Each state is one finding of its state, told once though it is read before and after."""
    found, busy = watched(**variables)

    assert [(g, c) for g, c, _ in found] == [(state, code)]
    assert words in found[0][2]
    assert busy == []


def test_a_gpu_in_use_is_left_alone(watched: Callable[..., list[Any]]) -> None:
    """A foreign process, or a gigabyte in use, makes it busy; a sound one at rest has no finding."""
    assert watched() == [[], []]
    for variables in ({"FAKE_PROCESSES": 2}, {"FAKE_USED": 5 << 30}):
        found, busy = watched(**variables)
        assert [(g, c) for g, c, _ in found] == [("unknown", "busy")]
        assert busy == ["cuda:0"]
