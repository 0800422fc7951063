"""What every test shares: which tests are run here, and what is left out with a reason."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

# The modules that take longest, which come first: run_tests.sh gives modules to processes in the order of the
# tests, and a long one at the end would leave the other processes idle.
LONGEST = (
    "tests/kernels/test_triton_numerics.py",
    "tests/kernels/test_driver_walk.py",
    "tests/gate/test_end_to_end.py",
    "tests/bench/test_workers.py",
    "tests/kernels/test_sass_golden.py",
    "tests/cli/test_run.py",
    "tests/fleet/test_burn_in.py",
    "tests/kernels/test_native.py",
    "tests/bench/test_links.py",
    "tests/cli/test_interrupted_run.py",
    "tests/test_folders.py",
    "tests/bench/test_failures.py",
    "tests/bench/test_selftest.py",
    "tests/bench/test_compiler.py",
)

os.environ.setdefault("CI", "1")  # tests measure a busy machine too: `quantroof run` then marks and goes on
_XDIST_ENDS_S = 2  # its own 10 s are more than a time limit leaves


def pytest_configure(config: pytest.Config) -> None:
    """End as by Ctrl-C when a time limit sends SIGTERM: what failed until then is printed."""
    if hasattr(config, "workerinput") or threading.current_thread() is not threading.main_thread():
        return

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # `timeout` sends it twice; once, failures are printed
        nodes = getattr(config.pluginmanager.get_plugin("dsession"), "nodemanager", None)
        if nodes is not None:
            nodes.EXIT_TIMEOUT = _XDIST_ENDS_S
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)


def _gpu_reason() -> str | None:
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    if torch.cuda.is_available():
        return None
    return "no NVIDIA GPU that torch can use"


def listed_as_long() -> list[str]:
    """The tests of long_tests.txt: a node id each, of one example or of all."""
    lines = (Path(__file__).parent / "long_tests.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _deselect(config: pytest.Config, items: list[pytest.Item], marker: str) -> None:
    """Leave the tests of a marker out unless the expression of `-m` names it."""
    left_out = [item for item in items if item.get_closest_marker(marker)]
    if left_out and marker not in config.option.markexpr:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long modules first; `gpu` tests skipped without a GPU, `long` and `slow` ones only where named."""
    rank = {module: index for index, module in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))
    long_tests = set(listed_as_long())
    for item in items:
        if item.nodeid in long_tests or item.nodeid.partition("[")[0] in long_tests:
            item.add_marker(pytest.mark.long)
    if not any("::" in argument for argument in config.args):
        for marker in ("long", "slow"):
            _deselect(config, items, marker)
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    reason = _gpu_reason() if gpu else None
    if reason is not None:
        for item in gpu:
            item.add_marker(pytest.mark.skip(reason=reason))
