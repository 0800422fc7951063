"""A file that cannot be written to its end is removed: a reader would take half of it for all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from quantroof.errors import EnvironmentMissing
from quantroof.files import write_to


def _half(target: Path) -> None:
    target.write_text("half")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_half_of_a_new_file_is_removed(tmp_path: Path) -> None:
    """The error names the file and the reason, exit code 3."""
    with pytest.raises(
        EnvironmentMissing,
        match=r"page\.html: cannot be written: No space left on device \(free some space there",
    ):
        write_to(tmp_path / "new" / "page.html", _half)

    assert list((tmp_path / "new").iterdir()) == []


def test_what_was_there_is_not_removed(tmp_path: Path) -> None:
    """A path that was there may be a device or a file of the user: it is left as the failure left it."""
    (tmp_path / "page.html").write_text("old")
    with pytest.raises(EnvironmentMissing):
        write_to(tmp_path / "page.html", _half)

    assert (tmp_path / "page.html").exists()
