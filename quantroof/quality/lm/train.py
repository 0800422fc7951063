"""The small language model: its recipe, and its training on the CPU, in fp32 weights with bf16 products."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import torch

from quantroof.quality.environment import load
from quantroof.quality.lm.text import Texts

END = "<|end|>"
_REPORT_EVERY = 50
Progress = Callable[[str], None]
# Raise it when training code changes in a way that changes the weights.
_TRAINING_CODE = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Llama-shaped model and its training, counted in steps, never in seconds: equal recipes, equal models.

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

    @property
    def cpu_seconds(self) -> float:
        """About what training takes: 160 CPU seconds were measured for `usable` (docs/measured/quality.md);
        others by their multiply-adds.
        """
        return 160.0 * self.work / USABLE.work

    @property
    def work(self) -> int:
        """Multiply-adds of a forward pass over all tokens, attention aside."""
        layer = 4 * self.hidden**2 + 3 * self.hidden * self.intermediate
        return self.tokens * (self.layers * layer + 2 * self.vocab * self.hidden)

    def digest(self, text: str) -> str:
        """Hash of the recipe, the training code and the text's own hash."""
        whole = json.dumps({**asdict(self), "code": _TRAINING_CODE, "text": text}, sort_keys=True)
        return sha256(whole.encode()).hexdigest()[:16]


USABLE = Recipe()
# Enough to be better than chance in a test, in seconds; differences of formats drown in its noise.
TINY = Recipe(steps=200, hidden=128, layers=2, heads=2, intermediate=256, vocab=512, batch=4, sequence=64)
RECIPES = {"usable": USABLE, "good": Recipe(steps=1500), "tiny": TINY}


def make_tokenizer(recipe: Recipe, texts: Texts) -> Any:
    """Byte-level BPE trained on the training text; deterministic, a few seconds."""
    tokenizers = load("tokenizers")
    pre_tokenizers = tokenizers.pre_tokenizers
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=recipe.vocab,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts.train, trainer)
    return load("transformers").PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END)


def train(recipe: Recipe, texts: Texts, tokenizer: Any, say: Progress) -> Any:
    """The model after `recipe.steps` steps; equal on one machine and torch version for equal arguments."""
    stream = torch.tensor([t for chunk in tokenizer(list(texts.train))["input_ids"] for t in chunk])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = _model(recipe, tokenizer.eos_token_id)
    generator = torch.Generator().manual_seed(recipe.seed)
    muon, adamw = _optimizers(model, recipe)
    model.train()
    for step in range(recipe.steps):
        starts = torch.randint(len(stream) - recipe.sequence, (recipe.batch,), generator=generator)
        batch = torch.stack([stream[s : s + recipe.sequence] for s in starts])
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        for optimizer, rate in ((muon, recipe.muon_rate), (adamw, recipe.adamw_rate)):
            for group in optimizer.param_groups:
                group["lr"] = rate * _schedule(step, recipe.steps)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if step % _REPORT_EVERY == 0 or step == recipe.steps - 1:
            say(f"training step {step + 1}/{recipe.steps}, loss {loss.item():.3f}")
    return model.eval()


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up over 5 % of the steps, then a cosine down to a twentieth."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return 0.05 + 0.95 * (1 + math.cos(math.pi * done)) / 2


def _model(recipe: Recipe, end: int) -> Any:
    """Head and embedding are separate, so that each can be quantized alone."""
    transformers = load("transformers")
    config = transformers.LlamaConfig(
        vocab_size=recipe.vocab,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=False,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=None,
    )
    return transformers.LlamaForCausalLM(config)


def _optimizers(
    model: torch.nn.Module, recipe: Recipe
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon where it is defined, for matrices of the layers; on so few tokens it learns several times faster.

    Embedding and head look up or score single tokens: AdamW, as Muon's author does (kellerjordan.github.io,
    "Muon: an optimizer for hidden layers").
    """
    inner = [p for n, p in model.named_parameters() if p.ndim == 2 and ".layers." in n]
    inner_ids = {id(p) for p in inner}
    rest = [p for p in model.parameters() if id(p) not in inner_ids]
    muon = torch.optim.Muon(inner, lr=recipe.muon_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    return muon, torch.optim.AdamW(rest, lr=recipe.adamw_rate, weight_decay=0.0, betas=(0.9, 0.95))
