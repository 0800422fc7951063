"""Decode one token per sequence repeatedly: a static cache and, on a GPU, one captured graph per step."""

from __future__ import annotations

import inspect
import time
from typing import Any

import torch

from quantroof.bench.timing.cuda_stream import new_stream
from quantroof.errors import UsageError
from quantroof.quality.environment import load, quiet
from quantroof.quality.refusals import refusal_text

_WARM_STEPS = 3


class Stepper:
    """Prefill once, then decode the same positions any number of times; nothing stops early.

    Prompts are random tokens: their content does not change the work. `graph` says how steps are launched:
    `captured`, `eager` on a CPU, or `eager` and why capture was not possible. UsageError for a model that
    keeps more than keys and values, or whose context is shorter than what is asked.
    """

    def __init__(self, model: torch.nn.Module, batch: int, prompt: int, tokens: int, device: str) -> None:
        config = model.config.get_text_config()  # type: ignore[union-attr, operator]
        self._model, self._on_gpu = model, device.startswith("cuda")
        # A prompt needs the logits of its last position only; all of them take gigabytes.
        has_option = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._last_only = {"logits_to_keep": 1} if has_option else {}
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(config.vocab_size, (batch, prompt), generator=generator)
        self._prompt = ids.to(device)
        self._token = self._prompt[:, -1:].clone()
        self._cache = _static_cache(config, prompt + max(tokens, _WARM_STEPS))
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
        self._forward(self._prompt, **self._last_only)
        return self._now() - start

    @torch.inference_mode()
    def decode_s(self, tokens: int) -> float:
        """Seconds per step, over `tokens` steps from the end of the prompt on."""
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
        total = 0.0
        for layer in self._cache.layers:
            for stored in (layer.keys, layer.values):
                position = stored[:, :, 0]
                total += min(context, layer.max_cache_len) * position.numel() * position.element_size()
        return round(total)

    def _step(self) -> None:
        self._forward(self._token)

    def _forward(self, ids: torch.Tensor, **options: int) -> None:
        logits = self._model(input_ids=ids, past_key_values=self._cache, use_cache=True, **options).logits
        self._token.copy_(logits[:, -1:].argmax(-1))

    def _rewind(self) -> None:
        """Forget what was decoded.

        Layers count their positions in a tensor on the device. Those with a window count on the host as
        well; past their window they hold other tokens than before, which is the same work.
        """
        for layer in self._cache.layers:
            layer.cumulative_length.fill_(self._prompt.shape[1])
            if layer.is_sliding:
                layer.cumulative_length_int = self._prompt.shape[1]

    @torch.inference_mode()
    def _capture(self) -> str:
        """Capture one step; if that fails, it is launched kernel by kernel and the reason is kept."""
        if any(layer.is_sliding for layer in self._cache.layers):
            return "eager: a sliding window counts positions on the host"
        stream = new_stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_STEPS):
                self._rewind()
                self._step()
            reason = self._wait_for_host()
        torch.cuda.current_stream().wait_stream(stream)
        self._rewind()
        if reason is not None:
            return f"eager: {reason}"
        graph = torch.cuda.CUDAGraph()
        try:
            # The outer context restores the stream, which a failing end of a capture does not.
            with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph, stream=stream):
                self._step()
        except RuntimeError as error:
            torch.cuda.synchronize()
            return f"eager: {refusal_text(error)[:120]}"
        self._graph = graph
        return "captured"

    def _wait_for_host(self) -> str | None:
        """Why a step cannot be captured, where it reads a result back, found without spoiling a capture.

        A failed capture leaves the allocator in a state that later ones inherit. LLM.int8() asks in every
        layer whether there are outliers, so it always waits.
        """
        mode = torch.cuda.get_sync_debug_mode()
        with quiet():  # torch warns that the mode misses some waits; the capture then finds them
            torch.cuda.set_sync_debug_mode("error")
            try:
                self._step()
            except RuntimeError as error:
                return f"the host waits for the device: {refusal_text(error)[:80]}"
            finally:
                torch.cuda.set_sync_debug_mode(mode)
        return None

    def _now(self) -> float:
        if self._on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()


def _static_cache(config: Any, length: int) -> Any:
    longest = getattr(config, "max_position_embeddings", None)
    if isinstance(longest, int) and length > longest:
        raise UsageError(f"prompt and new tokens are {length}, longer than the model's context of {longest}")
    caches = load("transformers.cache_utils")
    cache = caches.StaticCache(config=config, max_cache_len=length)
    rewindable = (caches.StaticLayer, caches.StaticSlidingWindowLayer)
    if others := {type(layer).__name__ for layer in cache.layers if type(layer) not in rewindable}:
        what = f"its cache ({', '.join(sorted(others))}) cannot be rewound: only keys and values can"
        raise UsageError(f"{config.model_type}: {what}", hint="decode measures attention models")
    return cache
