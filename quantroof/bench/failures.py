"""What is kept of a failure: one line in the record, and the whole traceback in the log of its process.

A worker writes the log to its standard error, which a run keeps in its directory. A program that uses this
package by itself sees tracebacks only if it configures the logger.
"""

from __future__ import annotations

import logging

from quantroof.errors import described

LOG = logging.getLogger("quantroof.failures")
LOG.addHandler(logging.NullHandler())


def reason(error: BaseException, what: str) -> str:
    """The one line of an error in a record; its traceback goes to the log, under what was tried."""
    LOG.error("%s", what, exc_info=error)
    return described(error)
