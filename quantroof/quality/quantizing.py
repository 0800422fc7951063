"""Apply a method to a checkpoint through the library that owns it. No quantizer is written here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch

import psutil
import torch

from quantroof.errors import UsageError
from quantroof.quality.checkpoint import Checkpoint
from quantroof.quality.environment import load, quiet
from quantroof.quality.methods import Method
from quantroof.quality.refusals import accepting, enough_memory
from quantroof.quality.windows import Windows

_HEAD = "lm_head"
_SAMPLE_S = 0.01


@dataclass(frozen=True, slots=True)
class QuantizedModel:
    """A model that computes in its formats, what it took to make it."""

    model: torch.nn.Module
    seconds: float
    peak_bytes: int


def quantized(
    method: Method,
    checkpoint: Checkpoint,
    *,
    calibration: Windows | None = None,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
) -> QuantizedModel:
    """Load a checkpoint and quantize its linear layers; time and memory count from the loaded model on.

    bitsandbytes quantizes while it loads, so there they count loading too. Raises EnvironmentMissing for what
    the method lacks here, UsageError for a model that it cannot take.
    """
    if method.calibrated and calibration is None:
        raise UsageError(f"method '{method.name}' needs calibration text")
    if method.library == "bitsandbytes":
        load("bitsandbytes")
        config = load("transformers").BitsAndBytesConfig(
            **method.options, bnb_4bit_compute_dtype=dtype or torch.float32
        )
        with quiet(), _Peak(device) as peak:
            model = checkpoint.model(dtype, device, quantization_config=config)
        return QuantizedModel(model, peak.seconds, peak.bytes)
    model = checkpoint.model(dtype, device)
    if method.library == "none":
        return QuantizedModel(model, 0.0, 0)
    with quiet(), _Peak(device) as peak:
        _compress(method, model, calibration, checkpoint.path)
    return QuantizedModel(model.eval(), peak.seconds, peak.bytes)


def _compress(method: Method, model: torch.nn.Module, calibration: Windows | None, where: Path) -> None:
    llmcompressor = load("llmcompressor")
    data: dict[str, Any] = {}
    if method.calibrated and calibration is not None:
        samples = [{"input_ids": row[None]} for row in calibration.ids]
        loader: Any = torch.utils.data.DataLoader(samples, batch_size=None)  # type: ignore[arg-type]
        data = {"dataset": loader, "num_calibration_samples": len(samples)}
    what = f"cannot be quantized by {method.name}"
    with accepting(what, where), enough_memory(f"quantizing by {method.name}"), _pinning_only_for_a_device():
        llmcompressor.oneshot(model=model, recipe=_recipe(method), **data)


@contextmanager
def _pinning_only_for_a_device() -> Iterator[None]:
    """Let AWQ run on a machine without an accelerator.

    llm-compressor (0.13 and 0.14) pins the samples that AWQ keeps, so that they reach a device faster, and
    torch refuses to pin where there is no device. There is no option for it. Nothing is copied to a device
    then, so leaving the call out changes no result; the method is public and does nothing else.
    """
    if torch.accelerator.is_available():
        yield
        return
    cache = load("llmcompressor.pipelines.cache").IntermediatesCache
    with patch.object(cache, "pin_memory", lambda *_: None):
        yield


def _recipe(method: Method) -> list[Any]:
    modifiers = load("llmcompressor.modifiers.quantization")
    transform = load("llmcompressor.modifiers.transform")
    steps: list[Any] = [transform.SmoothQuantModifier(smoothing_strength=0.5)] if method.smooth else []
    if method.algorithm == "awq":
        steps.append(transform.AWQModifier())
    kind = modifiers.GPTQModifier if method.algorithm == "gptq" else modifiers.QuantizationModifier
    if method.preset is not None:
        steps.append(kind(targets="Linear", scheme=method.preset, ignore=[_HEAD]))
        return steps
    group = {"targets": ["Linear"], "weights": method.weights, "input_activations": method.activations}
    steps.append(kind(config_groups={"group_0": group}, ignore=[_HEAD]))
    return steps


class _Peak:
    """Context manager: the `seconds` of a block, and the most `bytes` of memory it needed beyond the start.

    On a GPU that is the allocator's peak, on the CPU the resident memory sampled a hundred times per second.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.seconds = 0.0
        self.bytes = 0
        self._on_gpu = device.startswith("cuda")
        self._stop = threading.Event()
        self._process = psutil.Process()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> _Peak:
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            self._before = self._process.memory_info().rss
            self._sampler.start()
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()
            self.bytes = torch.cuda.max_memory_allocated() - self._before
        else:
            self._stop.set()
            self._sampler.join()
        self.seconds = time.perf_counter() - self._start

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            self.bytes = max(self.bytes, self._process.memory_info().rss - self._before)
