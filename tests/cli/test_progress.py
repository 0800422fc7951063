"""What a run says of a line that was just measured."""

from __future__ import annotations

import pytest

from quantroof.reports.text.run_lines import result_line
from tests.builders import gpu_device, measurement


@pytest.mark.parametrize(("samples", "words"), [(1, "us (one sample)"), (20, "us +-")])
def test_one_sample_claims_no_spread(samples: int, words: str) -> None:
    """A single sample has no interval: it never reads as +-0.0 %."""
    line = measurement(gpu_device(), "bf16", 1, (4096, 4096), 20_000, count=samples, spread=0.01, seed=1)

    assert words in result_line(line)
