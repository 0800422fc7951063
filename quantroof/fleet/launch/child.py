"""`python -m quantroof.fleet.launch.child ARGUMENTS`: the command line, ended when its parent ends.

An engine that kills a worker leaves the worker's own children behind; a run that went on would hold its file
against the attempt that follows. What it has written stays readable, and is resumed.
"""

from __future__ import annotations

import ctypes
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Bind to the parent and run `quantroof` with the same arguments."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    sys.argv[0] = "quantroof"
    runpy.run_module("quantroof", run_name="__main__")


if __name__ == "__main__":
    main()
