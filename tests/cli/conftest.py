"""The suite that tests of runs measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.processes import SUITE


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of six cases that takes a second."""
    file = tmp_path / "tiny.toml"
    file.write_text(SUITE)
    return file
