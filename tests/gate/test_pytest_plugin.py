"""The pytest-benchmark plugin, in pytest processes of its own, on the real CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
_TEST = """
import pytest
import torch


def test_product(gpu_benchmark):
    a, b = torch.randn(64, 256), torch.randn(256, 256)
    timing = gpu_benchmark(torch.mm, a, b, seconds=0.05, shape="64x256x256")
    assert timing.copies >= 2
"""
_RECORD = """
import os
import pytest
from quantroof.records.lines import Timing


@pytest.mark.benchmark(group="mine")
def test_recorded(gpu_benchmark):
    scale = float(os.environ["SCALE"])
    samples = tuple(1e6 * scale * (1 + 0.001 * i) for i in range(20))
    gpu_benchmark.record(Timing(samples_ns=samples, calls_per_sample=1, cache="cold", method="cuda-graph",
                                stopped_by="precision", copies=2, rotated_bytes=1))
"""
_SUITE = """
schema = "quantroof-suite/1"
name = "tiny"
[limits]
min_samples = 4
max_samples = 4
[[sweep]]
shapes = [{n = 64, k = 128}]
m = [1]
formats = ["fp32", "tf32"]
"""
# Installed, the plugin registers itself by its entry point, and a second registration is an error.
_INSTALLED = any(point.name == "quantroof" for point in entry_points(group="pytest11"))
_PLUGIN = () if _INSTALLED else ("-p", "quantroof.pytest_plugin")


def _pytest(folder: Path, *arguments: str | Path, scale: float = 1.0) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        *_PLUGIN,
        *("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:xdist"),  # a second each to start
    ]
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "SCALE": str(scale), "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    # The entry point is under test, and pytest-benchmark does not measure in a worker of pytest-xdist.
    for name in ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_TESTRUNUID"):
        environment.pop(name, None)
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _saved(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "out.json").read_text())["benchmarks"]
    return found


def test_a_function_of_ones_own_is_timed_by_our_sampler(tmp_path: Path) -> None:
    """The statistics are those of the samples, and how they were taken is in extra_info."""
    (tmp_path / "test_mine.py").write_text(_TEST)
    done = _pytest(tmp_path, "test_mine.py", "--benchmark-json=out.json")

    assert done.returncode == 0, done.stdout
    found = _saved(tmp_path)[0]
    assert found["stats"]["rounds"] == len(found["stats"]["data"]) >= 1
    assert 1e-6 < found["stats"]["median"] < 0.1
    assert found["extra_info"]["timer"] == "cpu-blocks"
    assert found["extra_info"]["time"] == "device"
    assert found["extra_info"]["shape"] == "64x256x256"


def test_disabled_benchmarks_only_call_the_function(tmp_path: Path) -> None:
    """--benchmark-disable leaves a plain test."""
    (tmp_path / "test_mine.py").write_text(_TEST.replace("timing.copies >= 2", "timing is None"))
    done = _pytest(tmp_path, "test_mine.py", "--benchmark-disable")

    assert done.returncode == 0, done.stdout


def test_compare_fail_works_on_device_time(tmp_path: Path) -> None:
    """Saved at 1 ms: +1 % passes median:2%, +3 % fails; the test's own marker is kept."""
    (tmp_path / "test_record.py").write_text(_RECORD)
    assert _pytest(tmp_path, "test_record.py", "--benchmark-save=base").returncode == 0
    compare = ("--benchmark-compare", "--benchmark-compare-fail=median:2%", "--benchmark-json=out.json")
    for scale, code in ((1.01, 0), (1.03, 1)):
        done = _pytest(tmp_path, "test_record.py", *compare, scale=scale)

        assert done.returncode == code, done.stdout
        found = _saved(tmp_path)[0]
        assert found["group"] == "mine"
        assert found["stats"]["median"] == pytest.approx(1e-3 * scale * 1.0095)


def test_an_unknown_suite_is_one_line() -> None:
    """`--quantroof-suite quik`: pytest's usage error with the nearest name, and no traceback."""
    done = _pytest(ROOT, "bench/", "--quantroof-suite", "quik")

    assert done.returncode != 0
    assert "unknown suite 'quik' (did you mean quick?)" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "quantroof/bench/suite.py" not in done.stdout + done.stderr


def test_a_suite_is_one_test_a_case_and_kernel(tmp_path: Path) -> None:
    """`pytest bench/ --quantroof-suite FILE`: what runs is timed under its limits, the rest is skipped."""
    (tmp_path / "tiny.toml").write_text(_SUITE)
    done = _pytest(
        ROOT, "bench/", "-rs", "--quantroof-suite", tmp_path / "tiny.toml", "--quantroof-device", "cpu",
        f"--benchmark-json={tmp_path / 'out.json'}",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    assert "tf32 is a GPU tensor core type" in done.stdout
    found = _saved(tmp_path)[0]
    assert found["name"] == "test_case[cpu:0-gemv/fp32-fp32-fp32/m1-n64-k128-torch.linear]"
    assert found["extra_info"]["kernel"] == "torch.linear"
    assert found["stats"]["rounds"] == 4


_FOREIGN = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--suite", default="theirs")
    parser.addoption("--device", default="theirs")

@pytest.fixture
def suite_case(request):
    return request.config.getoption("--suite")

@pytest.fixture
def gpu_benchmark():
    return "their own"
"""
_FOREIGN_TEST = """
def test_theirs(suite_case, gpu_benchmark):
    assert (suite_case, gpu_benchmark) == ("mine", "their own")
"""


@pytest.mark.parametrize("without", [(), ("-p", "no:benchmark")], ids=["with", "without"])
def test_a_project_with_a_suite_option_and_such_fixtures_runs_unchanged(
    tmp_path: Path, without: tuple[str, ...]
) -> None:
    """With and without pytest-benchmark: its own option, fixtures and tests, and not one warning of ours."""
    (tmp_path / "conftest.py").write_text(_FOREIGN)
    (tmp_path / "test_theirs.py").write_text(_FOREIGN_TEST)
    done = _pytest(tmp_path, *without, "--strict-markers", "-W", "error", "--suite", "mine")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "warning" not in done.stdout


def test_without_pytest_benchmark_our_fixture_says_what_to_install(tmp_path: Path) -> None:
    """One line, and no unknown marker or missing fixture."""
    (tmp_path / "test_mine.py").write_text("def test_mine(gpu_benchmark):\n    gpu_benchmark(len, [])\n")
    done = _pytest(tmp_path, "-p", "no:benchmark", "test_mine.py")

    assert done.returncode == 1
    assert "gpu_benchmark needs pytest-benchmark: pip install pytest-benchmark" in done.stdout
    assert "PytestUnknownMarkWarning" not in done.stdout
