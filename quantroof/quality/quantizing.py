"""Apply a method to a checkpoint through the library that owns it. No quantizer is written here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.quality.checkpoint import Checkpoint
from quantroof.quality.environment import load, quiet
from quantroof.quality.methods import Method
from quantroof.quality.peak import Peak
from quantroof.quality.windows import Windows

_HEAD = "lm_head"
_NO_ACCELERATOR = "Cannot access accelerator device"


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
        with quiet(), Peak(device) as peak:
            model = checkpoint.model(dtype, device, quantization_config=config)
        return QuantizedModel(model, peak.seconds, peak.bytes)
    model = checkpoint.model(dtype, device)
    if method.library == "none":
        return QuantizedModel(model, 0.0, 0)
    with quiet(), Peak(device) as peak:
        _compress(method, model, calibration)
    return QuantizedModel(model.eval(), peak.seconds, peak.bytes)


def _compress(method: Method, model: torch.nn.Module, calibration: Windows | None) -> None:
    llmcompressor = load("llmcompressor")
    data: dict[str, Any] = {}
    if method.calibrated and calibration is not None:
        samples = [{"input_ids": row[None]} for row in calibration.ids]
        loader: Any = torch.utils.data.DataLoader(samples, batch_size=None)  # type: ignore[arg-type]
        data = {"dataset": loader, "num_calibration_samples": len(samples)}
    try:
        llmcompressor.oneshot(model=model, recipe=_recipe(method), **data)
    except RuntimeError as error:
        if _NO_ACCELERATOR in str(error):
            # Version 0.14 pins memory whether or not there is a device to pin it for.
            what = f"{method.name} needs an accelerator: its library pins memory for one"
            raise EnvironmentMissing(what, hint="run it where torch finds a GPU") from None
        raise
    except ValueError as error:
        text = str(error).strip().splitlines()[0]
        raise UsageError(f"{method.name} cannot take this model: {text}") from None


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
