"""Results of load tools with times and counts that no load has: refused, not averaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quantroof.errors import UsageError
from quantroof.quality.served.importing import read_result

FILE = Path(__file__).parent.parent / "data" / "served_vllm_detailed.json"


def _edited(folder: Path, key: str, value: object) -> Path:
    document = json.loads(FILE.read_text())
    document[key] = value
    (folder / "result.json").write_text(json.dumps(document))
    return folder / "result.json"


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("duration", -1.0, "duration_ns"),
        ("max_concurrency", 0, "concurrency"),
        ("total_output_tokens", -60, "output_tokens"),
        ("failed", -1, "failed"),
        ("itls", [[-5.0]] * 6, "last_token_ns"),
    ],
)
def test_a_value_below_zero_is_refused(key: str, value: object, field: str, tmp_path: Path) -> None:
    """-12.4 tokens/s with exit code 0 was the answer; now the field is named."""
    with pytest.raises(UsageError, match="holds what no load can measure") as raised:
        read_result(_edited(tmp_path, key, value))

    assert f".{field}`" in str(raised.value)


def test_the_tools_own_file_is_read() -> None:
    """Its loads are within the bounds."""
    assert read_result(FILE).loads[0].completed == 6
