"""Models to decode with, in a format: a checkpoint, or random weights in the shape of a config.json."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from quantroof.errors import unknown_name
from quantroof.quality.checkpoint import architecture, open_checkpoint
from quantroof.quality.environment import load, quiet
from quantroof.quality.refusals import accepting, enough_memory

_PLAIN = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_BITSANDBYTES: dict[str, dict[str, Any]] = {
    "int8": {"load_in_8bit": True},
    # Without the search for outlier columns, whose answer the host waits for in every layer.
    "int8-off": {"load_in_8bit": True, "llm_int8_threshold": 0.0},
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "fp4": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
}
FORMATS = (*_PLAIN, *_BITSANDBYTES)


class Source(Protocol):
    """What gives a model in a dtype on a device; `options` are those of `from_pretrained`."""

    def model(self, dtype: torch.dtype | None, device: str, **options: Any) -> torch.nn.Module:
        """The model, ready for inference."""
        ...


@dataclass(frozen=True, slots=True)
class RandomWeights:
    """Seeded random weights in the shape of a configuration, made on the device that runs them.

    No file is written and the host holds no copy: an 8B model takes 16 GB of the device while it is
    quantized, and its formats' bytes after. Random weights cost what trained ones do, with one exception:
    their activations have hardly an outlier, so LLM.int8() finds next to no column to keep in 16 bits.
    """

    config: Any
    where: Path
    seed: int = 0

    def model(self, dtype: torch.dtype | None, device: str, **options: Any) -> torch.nn.Module:
        """A new model; UsageError for a configuration that no language model can be built from."""
        auto = load("transformers").AutoModelForCausalLM
        on_gpu = [device] if device.startswith("cuda") else []
        with accepting("describes no language model", self.where), enough_memory("the model"):
            with torch.random.fork_rng(devices=on_gpu), torch.device(device):
                torch.manual_seed(self.seed)
                model = auto.from_config(deepcopy(self.config), dtype=dtype)
            if options:  # transformers quantizes tensors as it quantizes what it reads from files
                model = type(model).from_pretrained(
                    None,
                    config=deepcopy(self.config),
                    state_dict=model.state_dict(),
                    dtype=dtype,
                    device_map={"": device},
                    **options,
                )
        built: torch.nn.Module = model.eval()
        return built


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in a format. `weight_bytes` is what a decoding step reads of it.

    That is every parameter and buffer with its quantization state, but of an input embedding that is not
    also the head only the rows of the step's tokens, which are left out.
    """

    format: str
    model: torch.nn.Module
    weight_bytes: int


def source(path: Path) -> Source:
    """The checkpoint of a directory, or random weights for a config.json. UsageError for neither."""
    if path.is_dir() and any(path.glob("*.safetensors*")):
        return open_checkpoint(path)
    return RandomWeights(architecture(path), path)


def check_formats(names: Sequence[str]) -> None:
    """UsageError for an unknown name, EnvironmentMissing for a library: before anything is measured."""
    for name in names:
        if name not in FORMATS:
            raise unknown_name("format", name, list(FORMATS))
        if name in _BITSANDBYTES:
            load("bitsandbytes")


def in_format(origin: Source, name: str, device: str) -> Loaded:
    """Load the model in a format of FORMATS; int8 is LLM.int8(), nf4 has quantized scales."""
    if name in _PLAIN:
        with quiet():
            model = origin.model(_PLAIN[name], device)
    else:
        # 16-bit arithmetic where the device has it; a CPU multiplies bf16.
        compute = torch.float16 if device.startswith("cuda") else torch.bfloat16
        options = dict(_BITSANDBYTES[name])
        if "load_in_4bit" in options:
            options["bnb_4bit_compute_dtype"] = compute
        config = load("transformers").BitsAndBytesConfig(**options)
        with quiet():
            model = origin.model(compute, device, quantization_config=config)
    return Loaded(name, model, _step_bytes(model))


def _step_bytes(model: torch.nn.Module) -> int:
    embedding = model.get_input_embeddings()  # type: ignore[operator]
    head = model.get_output_embeddings()  # type: ignore[operator]
    skipped = embedding.weight if head is None or head.weight is not embedding.weight else None
    total = sum(t.numel() * t.element_size() for t in model.buffers())
    for parameter in model.parameters():
        if parameter is skipped:
            continue
        total += parameter.numel() * parameter.element_size()
        total += _state_bytes(parameter)
    return total


def _state_bytes(parameter: torch.nn.Parameter) -> int:
    """Scales that bitsandbytes keeps beside a parameter: absmax of 4 bit, row scales of 8 bit."""
    state = getattr(parameter, "quant_state", None)
    tensors = [getattr(parameter, "SCB", None)]
    while state is not None:
        tensors.append(state.absmax)
        state = getattr(state, "state2", None)
    return sum(t.numel() * t.element_size() for t in tensors if isinstance(t, torch.Tensor))
