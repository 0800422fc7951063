"""NVML readings of one GPU, taken by a thread while a case runs."""

from __future__ import annotations

import threading

from quantroof.hwprofiles.nvml import Board, Reading

_PERIOD_S = 0.02


class BoardWatch:
    """Reads a board every 20 ms in a thread between `start` and `stop`."""

    def __init__(self, board: Board, period_s: float = _PERIOD_S) -> None:
        self._board, self._period_s = board, period_s
        self._readings: list[Reading] = []
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Forget what was read and begin."""
        self._readings = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, args=(self._end,), daemon=True)
        self._thread.start()

    def read(self) -> None:
        """One reading more, now."""
        self._readings.append(self._board.reading())

    def stop(self) -> list[Reading]:
        """End the thread and hand out what was read."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        return self._readings

    def _loop(self, end: threading.Event) -> None:
        while not end.wait(self._period_s):
            self.read()
