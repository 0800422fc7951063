"""What every test shares: which tests are run here, and what is left out with a reason."""

from __future__ import annotations

import os
import signal
import threading

import pytest

os.environ.setdefault("CI", "1")  # tests measure a busy machine too: `quantroof run` then marks and goes on


def pytest_configure(config: pytest.Config) -> None:
    """End as by Ctrl-C when a time limit sends SIGTERM: what failed until then is printed."""
    if not hasattr(config, "workerinput") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _gpu_reason() -> str | None:
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    if torch.cuda.is_available():
        return None
    return "no NVIDIA GPU that torch can use"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip `gpu` tests where there is no GPU; deselect `slow` ones unless -m or a node id asks for them."""
    asked = "slow" in config.option.markexpr or any("::" in argument for argument in config.args)
    slow = [] if asked else [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    reason = _gpu_reason() if gpu else None
    if reason is not None:
        for item in gpu:
            item.add_marker(pytest.mark.skip(reason=reason))
