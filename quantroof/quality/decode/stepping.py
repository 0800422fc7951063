"""One token a sequence, again and again: a static cache, and on a GPU one captured graph a step."""

from __future__ import annotations

import time

import torch

from quantroof.bench.timing.cuda_stream import new_stream
from quantroof.quality.environment import load

_WARM_STEPS = 3


class Stepper:
    """Prefill once, then decode the same positions as often as asked, with nothing that stops early.

    Prompts are random tokens: what they say does not change the work. `graph` says how steps are launched:
    `captured`, `eager` on a CPU, or why capture failed.
    """

    def __init__(self, model: torch.nn.Module, batch: int, prompt: int, tokens: int, device: str) -> None:
        config = model.config.get_text_config()  # type: ignore[union-attr, operator]
        self._model, self._on_gpu = model, device.startswith("cuda")
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(config.vocab_size, (batch, prompt), generator=generator)
        self._prompt = ids.to(device)
        self._token = self._prompt[:, -1:].clone()
        length = prompt + max(tokens, _WARM_STEPS)
        self._cache = load("transformers").StaticCache(config=config, max_cache_len=length)
        self._graph: torch.cuda.CUDAGraph | None = None
        self.graph = "eager"
        self.prefill_s()  # allocates the cache, builds plans
        if self._on_gpu:
            self.graph = self._capture()

    @torch.inference_mode()
    def prefill_s(self) -> float:
        """Seconds to read the whole prompt into an empty cache, the first new token included."""
        if self._cache.is_initialized:
            self._cache.reset()
        start = self._now()
        logits = self._model(input_ids=self._prompt, past_key_values=self._cache, use_cache=True).logits
        self._token.copy_(logits[:, -1:].argmax(-1))
        return self._now() - start

    @torch.inference_mode()
    def decode_s(self, tokens: int) -> float:
        """Seconds a step, over `tokens` steps from the end of the prompt on."""
        self._rewind()
        start = self._now()
        for _ in range(tokens):
            if self._graph is None:
                self._step()
            else:
                self._graph.replay()
        return (self._now() - start) / tokens

    def kv_bytes(self, tokens: int) -> int:
        """Cache a step reads on average over a block: the keys and values of the context so far."""
        context = self._prompt.shape[1] + (tokens + 1) / 2
        per_position: int = sum(
            t[:, :, 0].numel() * t.element_size()
            for layer in self._cache.layers
            for t in (layer.keys, layer.values)
        )
        return round(context * per_position)

    def _step(self) -> None:
        logits = self._model(input_ids=self._token, past_key_values=self._cache, use_cache=True).logits
        self._token.copy_(logits[:, -1:].argmax(-1))

    def _rewind(self) -> None:
        """Forget what was decoded: the static layers count their positions in a tensor on the device."""
        for layer in self._cache.layers:
            layer.cumulative_length.fill_(self._prompt.shape[1])

    @torch.inference_mode()
    def _capture(self) -> str:
        """Capture one step; a model that cannot be captured is stepped eagerly, and says why."""
        stream = new_stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_STEPS):
                self._rewind()
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        self._rewind()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._step()
        except RuntimeError as error:
            torch.cuda.synchronize()
            return f"eager: {str(error).strip().splitlines()[0][:120]}"
        self._graph = graph
        return "captured"

    def _now(self) -> float:
        if self._on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()
