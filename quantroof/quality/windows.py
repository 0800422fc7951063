"""Text as windows of tokens, and a model's loss on each of them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch

from quantroof.analysis.paired import MIN_WINDOWS
from quantroof.errors import UsageError
from quantroof.quality.refusals import enough_memory
from quantroof.records.quality import TextUsed

_TOKENS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Windows:
    """Token ids [windows, tokens] of int64, packed: no padding, no token twice, the rest dropped."""

    ids: torch.Tensor
    source: str

    @property
    def digest(self) -> str:
        """Hash of the ids and their shape."""
        text = f"{tuple(self.ids.shape)}".encode() + self.ids.numpy().tobytes()
        return sha256(text).hexdigest()[:16]

    def used(self) -> TextUsed:
        """What a record stores about this text."""
        windows, tokens = self.ids.shape
        return TextUsed(source=self.source, digest=self.digest, windows=windows, window_tokens=tokens)


def pack(
    text: str, tokenizer: Any, tokens: int, source: str, most: int | None = None, least: int = MIN_WINDOWS
) -> Windows:
    """Cut text into windows of `tokens` tokens, at most `most`. UsageError for text that is too short."""
    ids = torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"], dtype=torch.int64)
    count = min(len(ids) // tokens, most or len(ids))
    if count < least:
        what = f"{count} windows of {tokens} tokens, but {least} are needed"
        few = most is not None and most < least
        hint = f"--windows {least} at least" if few else "give more text or a shorter --window"
        raise UsageError(what, where=source, hint=hint)
    return Windows(ids[: count * tokens].view(count, tokens), source)


@torch.inference_mode()
def window_losses(model: torch.nn.Module, windows: Windows) -> tuple[float, ...]:
    """Mean negative log-likelihood in nats of every window's tokens but the first, scored in fp32."""
    device = next(model.parameters()).device
    at_once = max(1, _TOKENS_AT_ONCE // windows.ids.shape[1])
    losses: list[float] = []
    for batch in torch.split(windows.ids, at_once):
        ids = batch.to(device)
        with enough_memory(f"a batch of {len(batch)} windows"):
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
            token_losses = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
            )
        losses += token_losses.view(len(batch), -1).mean(dim=1).tolist()
    return tuple(losses)
