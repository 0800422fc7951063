"""Calibration sets: the text that a quantizer runs the model on.

Packed, so that no sample is padding; seeded; mixed from domain and generic text in a stated ratio; and never
overlapping the text that will judge the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from quantroof.errors import UsageError
from quantroof.quality.windows import Windows, pack

_OVERLAP_TOKENS = 32  # a shared run this long is a copy, not a common phrase


@dataclass(frozen=True, slots=True)
class Mixture:
    """How a set is made. `domain_share` is the share of samples from the domain text, the rest is generic."""

    samples: int = 64
    tokens: int = 256
    domain_share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.domain_share <= 1:
            raise UsageError(f"domain share {self.domain_share} is not between 0 and 1")


def build(
    mixture: Mixture,
    tokenizer: Any,
    *,
    generic: str = "",
    domain: str = "",
    evaluation: Windows,
) -> Windows:
    """A calibration set of exactly `samples` windows, in seeded order.

    A window that shares a run of 32 tokens with the evaluation text is left out. UsageError if a text
    is too short for its share: fewer samples would be another set under the same name.
    """
    from_domain = round(mixture.samples * mixture.domain_share)
    shares = (("domain", domain, from_domain), ("generic", generic, mixture.samples - from_domain))
    evaluated = _runs(evaluation.ids)
    generator = torch.Generator().manual_seed(mixture.seed)
    parts = []
    for name, text, count in shares:
        if count == 0:
            continue
        windows = pack(text, tokenizer, mixture.tokens, f"{name} calibration text", least=1).ids
        clean = [row for row in windows if evaluated.isdisjoint(_runs(row[None]))]
        if len(clean) < count:
            what = f"gives {len(clean)} samples of {mixture.tokens} tokens apart from the evaluation text"
            raise UsageError(f"{what}, {count} are needed", where=f"{name} calibration text")
        picks = torch.randperm(len(clean), generator=generator)[:count].tolist()
        parts += [clean[i] for i in picks]
    order = torch.randperm(len(parts), generator=generator).tolist()
    source = f"{mixture.samples} samples, {mixture.domain_share:.0%} domain, seed {mixture.seed}"
    return Windows(torch.stack([parts[i] for i in order]), source)


def _runs(ids: torch.Tensor) -> set[int]:
    """Hashes of every run of 32 tokens in any window; a shorter window is one run."""
    rows = ids.tolist()
    size = min(_OVERLAP_TOKENS, ids.shape[1])
    return {hash(tuple(row[i : i + size])) for row in rows for i in range(len(row) - size + 1)}
