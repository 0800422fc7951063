"""Models to decode with: a checkpoint, or random weights in the shape of a config.json; in a format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from quantroof.errors import UsageError, unknown_name
from quantroof.quality.checkpoint import Checkpoint, open_checkpoint
from quantroof.quality.environment import load, quiet

_PLAIN = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_BITSANDBYTES: dict[str, dict[str, Any]] = {
    "int8": {"load_in_8bit": True},
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "fp4": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
}
FORMATS = (*_PLAIN, *_BITSANDBYTES)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in a format. `weight_bytes` is what a decoding step reads of it.

    That is every parameter and buffer with its quantization state, but of an input embedding that is not
    also the head only the rows of the step's tokens, which are left out.
    """

    format: str
    model: torch.nn.Module
    weight_bytes: int


@contextmanager
def source(path: Path, seed: int = 0) -> Iterator[Checkpoint]:
    """The checkpoint of a directory, or random weights for a config.json written to a temporary one.

    UsageError for a configuration that transformers cannot build.
    """
    if path.is_dir() and any(path.glob("*.safetensors")):
        yield open_checkpoint(path)
        return
    transformers = load("transformers")
    file = path / "config.json" if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        config = transformers.AutoConfig.for_model(**data)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(file)) from None
    except (ValueError, TypeError, KeyError) as error:
        line = (str(error).strip().splitlines() or ["no configuration"])[0]
        raise UsageError(f"describes no model: {line[:200]}", where=str(file)) from None
    with TemporaryDirectory(prefix="quantroof-random-") as folder, torch.random.fork_rng():
        torch.manual_seed(seed)
        with quiet():
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
            model.save_pretrained(folder)
        del model
        yield open_checkpoint(Path(folder))


def in_format(checkpoint: Checkpoint, name: str, device: str) -> Loaded:
    """Load the model in a format of FORMATS; int8 is LLM.int8(), nf4 has quantized scales."""
    if name in _PLAIN:
        model = checkpoint.model(_PLAIN[name], device)
    elif name in _BITSANDBYTES:
        load("bitsandbytes")
        # 16-bit arithmetic where the device has it; a CPU multiplies bf16.
        compute = torch.float16 if device.startswith("cuda") else torch.bfloat16
        options = dict(_BITSANDBYTES[name])
        if "load_in_4bit" in options:
            options["bnb_4bit_compute_dtype"] = compute
        config = load("transformers").BitsAndBytesConfig(**options)
        with quiet():
            model = checkpoint.model(compute, device, quantization_config=config)
    else:
        raise unknown_name("format", name, list(FORMATS))
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
    kept = [getattr(parameter, "SCB", None)]
    while state is not None:
        kept.append(state.absmax)
        state = getattr(state, "state2", None)
    return sum(t.numel() * t.element_size() for t in kept if isinstance(t, torch.Tensor))
