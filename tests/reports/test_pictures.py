"""The pictures of docs/images are those of the page that this tree draws."""

from __future__ import annotations

from tests.reports.picture_inputs import MANIFEST, manifest


def test_pictures_are_not_stale() -> None:
    """Data, page and pictures have the hashes noted by scripts/pictures."""
    noted = set(MANIFEST.read_text(encoding="utf-8").splitlines())
    changed = {line.split()[1] for line in noted ^ set(manifest().splitlines())}

    assert sorted(changed) == [], "PYTHONPATH=. scripts/pictures"
