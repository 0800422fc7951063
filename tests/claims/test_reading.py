"""Claims files: every kind with its own terms, and one clear line for what is malformed."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.claims import checklist
from quantroof.claims.reading import KINDS, read_claims
from quantroof.errors import UsageError

HARDWARE = Path(checklist.__file__).with_name(checklist.HARDWARE)
PEAK = """title = "t"
[[claim]]
id = "a"
text = "t"
kind = "peak"
profile = "l4"
element = "bf16"
value = 1
"""


def _read(tmp_path: Path, text: str) -> int:
    file = tmp_path / "claims.toml"
    file.write_text(text)
    return len(read_claims([file]).claims)


def test_a_claim_with_its_terms_is_read(tmp_path: Path) -> None:
    """The file that the cases below break is whole."""
    assert _read(tmp_path, PEAK) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (PEAK.removeprefix('title = "t"'), "missing required field `title`"),
        (PEAK.replace('text = "t"', ""), "missing required field `text`"),
        (PEAK.replace("value = 1", ""), "missing required field `value`"),
        (PEAK.replace('kind = "peak"', ""), "missing required field `kind`"),
        (PEAK.replace("value = 1", 'value = "1"'), r"claim\[0\].value: expected `float`, got `str`"),
        (PEAK + "color = 1\n", r"claim\[0\]: unknown key 'color'"),
        (PEAK + "gpus = 2\n", r"claim\[0\]: unknown key 'gpus'"),
        (PEAK.replace('"peak"', '"peaks"'), "a: unknown kind of claim 'peaks' .did you mean peak"),
        (PEAK + PEAK.partition("\n")[2], "two claims have the id 'a'"),
        ("title = ", "not TOML"),
    ],
)
def test_a_malformed_claims_file_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """One line that names the file and what is wrong; a term of another kind is not accepted either."""
    with pytest.raises(UsageError, match=complaint) as refused:
        _read(tmp_path, text)

    assert "claims.toml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_matrix_row_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    """A missing cell would shift every answer behind it."""
    text = HARDWARE.read_text().replace("true, true, true, true, true, false]", "true, true]", 1)

    with pytest.raises(UsageError, match="row 'BF16' has 2 cells for 6 columns"):
        _read(tmp_path, text)


def test_every_kind_is_used_by_the_lesson() -> None:
    """A kind of claim that no claim of the lesson has would be dead code."""
    kinds = {str(claim.__struct_config__.tag) for claim in checklist.shipped().claims}

    assert kinds == set(KINDS)
