"""Keep processes together: a child ends with its parent, and what a child leaves behind becomes ours."""

from __future__ import annotations

import ctypes
import signal
from contextlib import suppress

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h

COPY_RETURNED = 86
"""Exit code of a copy of a worker, as a kernel's fork leaves it, that came back to the worker's own code."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends; without effect where there is no prctl."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends: none escapes a look at children."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
