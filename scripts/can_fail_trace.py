"""Records which lines of the tree a process runs, its children and the Python programs that it starts too.

Each process appends a line `file:line` to a sink once per file and line. A sink is a file named in the
environment; a `sitecustomize.py` in the tree starts the tracer in every Python program that sees it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

SINK, TREE = "CAN_FAIL_SINK", "CAN_FAIL_TREE"
_CALLS = 20
"""A function's lines are looked at in this many calls per test: loops would take minutes."""

SITECUSTOMIZE = f"""import os
if "{SINK}" in os.environ:
    import sys
    sys.path.append(os.path.join(os.environ["{TREE}"], "scripts"))
    import can_fail_trace
    can_fail_trace.Tracer(os.environ["{TREE}"]).start()
"""


class Tracer:
    """Appends what is reached to the sink of the moment."""

    def __init__(self, tree: str | Path) -> None:
        self._folders = tuple(f"{tree}/{name}/" for name in ("quantroof", "scripts"))
        self._start = len(str(tree)) + 1
        self.begin(os.environ.get(SINK))

    def begin(self, sink: str | None) -> None:
        """What is reached from now on belongs to this sink."""
        self._sink = sink
        self._seen: set[tuple[str, int]] = set()
        self._calls: dict[CodeType, int] = defaultdict(int)

    def start(self) -> None:
        """Trace this thread and those it starts."""
        threading.settrace(self._call)
        sys.settrace(self._call)

    def stop(self) -> None:
        """Trace no more."""
        sys.settrace(None)
        threading.settrace(None)

    def _call(self, frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        code = frame.f_code
        if not code.co_filename.startswith(self._folders) or self._calls[code] >= _CALLS:
            return None
        self._calls[code] += 1
        return self._line

    def _line(self, frame: FrameType, _event: str, _argument: object) -> Callable[..., Any]:
        place = (frame.f_code.co_filename, frame.f_lineno)
        if place not in self._seen:
            self._seen.add(place)
            self._append(f"{place[0][self._start :]}:{place[1]}\n")
        return self._line

    def _append(self, text: str) -> None:
        sink = self._sink
        if sink is None:
            return
        try:  # opened each time: a process that forked, closed everything or changed its folder still writes
            descriptor = os.open(sink, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        except OSError:
            return
        os.write(descriptor, text.encode())
        os.close(descriptor)
