"""Fixtures that kernel tests share; each is made once a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quantroof.kernels.sass.table import Row, all_architectures, machine_code_table
from tests.kernels.interpreter import Interpreter


@pytest.fixture(scope="session")
def interpreter() -> Iterator[Interpreter]:
    """Two processes that run kernels under Triton's interpreter."""
    workers = Interpreter()
    yield workers
    workers.close()


@pytest.fixture(scope="session")
def machine_code() -> list[Row]:
    """Every declared kernel compiled for every architecture, once."""
    return machine_code_table(all_architectures())
