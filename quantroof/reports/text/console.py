"""The two consoles: results on standard output, progress and remarks on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_COLUMNS = 160
"""Width of lines where standard output is not a terminal."""


def stdout() -> Console:
    """The console for results. rich obeys NO_COLOR, and prints no control codes into a pipe."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def stderr() -> Console:
    """The console for progress and remarks."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
