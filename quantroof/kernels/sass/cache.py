"""The folder where Triton keeps what it compiled. Without one that can be written it compiles nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from quantroof.errors import EnvironmentMissing

PROVIDER = "triton"


def require_cache(providers: Iterable[str] = (PROVIDER,)) -> None:
    """EnvironmentMissing where Triton's folder cannot be written and one of the kernels' providers is
    Triton."""
    if PROVIDER not in providers:
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        hint = "set TRITON_CACHE_DIR to a folder that can be written"
        what = f"Triton cannot keep its compiled kernels: {error.strerror}"
        raise EnvironmentMissing(what, where=str(folder), hint=hint) from None


def cache_folder() -> Path:
    """TRITON_CACHE_DIR, else `.triton/cache` in TRITON_HOME or in the home directory, as Triton has it."""
    if named := os.environ.get("TRITON_CACHE_DIR"):
        return Path(named)
    home = os.environ.get("TRITON_HOME") or os.path.expanduser("~")  # noqa: PTH111 - Path's raises without a home
    return Path(home) / ".triton" / "cache"
