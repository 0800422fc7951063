"""Fixtures that kernel tests share; each is made once a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernels.interpreter import Interpreter


@pytest.fixture(scope="session")
def interpreter() -> Iterator[Interpreter]:
    """Two processes that run kernels under Triton's interpreter."""
    workers = Interpreter()
    yield workers
    workers.close()
