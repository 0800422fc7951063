"""What is kept of a failure: one line in the record, and the whole traceback in the log of its process.

A worker writes the log to its standard error, which a run keeps in its directory. A program that uses this
package by itself sees tracebacks only if it configures the logger.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quantroof.errors import described, shortened

LOG = logging.getLogger("quantroof.failures")
LOG.addHandler(logging.NullHandler())


def reason(error: BaseException, what: str) -> str:
    """An error as one line of a record, of readable length; its traceback goes to the log, under `what`."""
    LOG.error("%s", what, exc_info=error)
    return shortened(described(error))


@contextmanager
def log_to(file: Path) -> Iterator[None]:
    """Write the tracebacks of what fails inside to a file, which the first of them makes anew."""
    handler = logging.FileHandler(file, mode="w", delay=True, encoding="utf-8")
    LOG.addHandler(handler)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        handler.close()
