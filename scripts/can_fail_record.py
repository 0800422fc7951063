"""What was seen of each test, in memory and in a file, a line each."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

ASSERTIONS = ("AssertionError", "Failed", "DocTestFailure")
"""What a test raises that compared something: assert, pytest.fail, pytest.raises."""
BY_HAND = "by hand"


@dataclass(frozen=True)
class Seen:
    """How a test was seen to fail; `raised` is None if it was not, and `note` says why it was not tried."""

    test: str
    raised: str | None = None
    place: str = ""
    was: str = ""
    became: str = ""
    note: str = ""

    @property
    def function(self) -> str:
        """The test without its example."""
        return self.test.partition("[")[0]

    @property
    def rank(self) -> int:
        """An assertion says more than another exception, and that more than nothing."""
        return 0 if self.raised is None else 1 + (self.raised in ASSERTIONS)


class Record:
    """What was seen of each test, also in a file, a line each."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._lock = file, threading.Lock()
        lines = file.read_text(encoding="utf-8").splitlines() if file is not None and file.exists() else []
        self.seen: dict[str, Seen] = {}
        for row in (Seen(**json.loads(line)) for line in lines):
            self._keep(row)

    def _keep(self, row: Seen) -> bool:
        better = row.test not in self.seen or row.rank > self.seen[row.test].rank
        if better:
            self.seen[row.test] = row
        return better

    def add(self, row: Seen) -> None:
        """Keep what was seen of a test, unless more was seen before."""
        with self._lock:
            if self._keep(row) and self._file is not None:
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(row)) + "\n")

    def has(self, test: str) -> bool:
        """Whether a test, or an example of it, was seen to fail."""
        return any(row.raised is not None and test in (name, row.function) for name, row in self.seen.items())

    def failed(self) -> set[str]:
        """Functions of which an example failed."""
        return {row.function for row in self.seen.values() if row.raised is not None}
