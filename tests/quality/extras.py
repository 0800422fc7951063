"""Skip where a package of the extra `llm` is missing, without importing it: some speak up on import."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def needs(package: str) -> None:
    """Skip the test, with the reason, where `package` is not installed."""
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: needs the extra llm")
