"""pytest plugin: options, and the fixtures of `pytest_fixtures` where pytest-benchmark is there.

It is loaded in every project of an environment that has quantroof. So its options have a prefix, and without
pytest-benchmark it adds one fixture, which says what is missing.
"""

from __future__ import annotations

from typing import Any

import pytest

_HINT = "gpu_benchmark needs pytest-benchmark: pip install pytest-benchmark"


class WithoutBenchmark:
    """The fixtures of a project that does not have pytest-benchmark."""

    @pytest.fixture
    def gpu_benchmark(self) -> Any:
        """Fails with what to install."""
        pytest.fail(_HINT, pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the plugin."""
    group = parser.getgroup("quantroof")
    group.addoption(
        "--quantroof-suite",
        dest="quantroof_suite",
        default="quick",
        help="Suite that bench/test_suites.py measures: a name or a file.",
    )
    group.addoption(
        "--quantroof-device", dest="quantroof_device", help="cpu, cuda:1...; default every GPU, else the CPU."
    )
    group.addoption(
        "--quantroof-out",
        dest="quantroof_out",
        help="Run directory that takes what gpu_benchmark measures, as one more process for the gate.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures that fit the environment."""
    if config.pluginmanager.hasplugin("benchmark") or config.pluginmanager.hasplugin(
        "pytest_benchmark.plugin"
    ):
        from quantroof import pytest_fixtures

        config.pluginmanager.register(pytest_fixtures, "quantroof-fixtures")
    else:
        config.pluginmanager.register(WithoutBenchmark(), "quantroof-fixtures")
