"""What a small language model is made of. Equal hash of the recipe, equal model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256

# Raise it when training code changes in a way that changes the weights.
_TRAINING_CODE = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Llama-shaped model and its training, counted in steps: time decides nothing.

    Widths are multiples of 128, so that groups of 128 fit. Learning rates: Muon for matrices inside the
    layers, AdamW for embeddings, head and norms.
    """

    steps: int = 650
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    intermediate: int = 768
    vocab: int = 1024
    batch: int = 8
    sequence: int = 128
    context: int = 512
    muon_rate: float = 4e-3
    adamw_rate: float = 3e-3
    seed: int = 9

    @property
    def tokens(self) -> int:
        """Tokens seen in training, repeats included."""
        return self.steps * self.batch * self.sequence

    def digest(self, text: str) -> str:
        """Hash of the recipe, the training code and the text's own hash."""
        whole = json.dumps({**asdict(self), "code": _TRAINING_CODE, "text": text}, sort_keys=True)
        return sha256(whole.encode()).hexdigest()[:16]


USABLE = Recipe()
# Enough to be better than chance in a test, in seconds; differences of formats drown in its noise.
TINY = Recipe(steps=200, hidden=128, layers=2, heads=2, intermediate=256, vocab=512, batch=4, sequence=64)
RECIPES = {"usable": USABLE, "good": Recipe(steps=1500), "tiny": TINY}
