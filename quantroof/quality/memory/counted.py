"""Bytes of a model: counted from its configuration without weights, or measured after loading it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from quantroof.kernels.formats import Format
from quantroof.quality.checkpoint import architecture, open_checkpoint
from quantroof.quality.environment import load, use_device
from quantroof.quality.refusals import accepting

# Weight formats of interest, with what else is stored in 16 bits.
FORMATS = (
    "bf16",
    "fp8_e4m3.channel",
    "int8.channel",
    "int4.g128",
    "int4.g128.zp",
    "nf4.g64",
    "mxfp4.g32",
    "nvfp4.g16",
)
# QLoRA's double quantization: an 8-bit scale per block of 64, and an fp32 scale of scales per 256 blocks.
_DOUBLE_BITS = 4 + 8 / 64 + 32 / (64 * 256)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the architecture. `quantizable` marks matrices of linear layers other than the head.

    The routed experts of a layer are one parameter of three dimensions: experts, rows and columns.
    """

    name: str
    shape: tuple[int, ...]
    quantizable: bool

    @property
    def count(self) -> int:
        """Number of elements."""
        return int(torch.Size(self.shape).numel())


def count(path: Path) -> list[Parameter]:
    """Every parameter of the model that a config.json (or its directory) describes, tied ones once.

    The model is built on the meta device: no weights, no download, no memory. UsageError for an architecture
    that transformers does not know.
    """
    config = architecture(path)
    with accepting("describes no language model", path), torch.device("meta"):
        model = load("transformers").AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings()
    linear = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    return [
        Parameter(name, tuple(weight.shape), id(weight) in linear or is_expert_stack(name, weight))
        for name, weight in model.named_parameters()
    ]


def is_expert_stack(name: str, weight: torch.nn.Parameter) -> bool:
    """Whether a parameter holds one matrix for each routed expert, as transformers 5 keeps them."""
    return weight.dim() == 3 and "experts" in name.split(".")


def bytes_in(parameters: Iterable[Parameter], format_text: str) -> int:
    """Bytes with linear layers in a format and everything else in 16 bits."""
    fmt = Format.parse(format_text)
    total = 0
    for parameter in parameters:
        if parameter.quantizable:
            *experts, rows, columns = parameter.shape
            total += math.prod(experts) * fmt.storage_bytes(rows, columns)
        else:
            total += 2 * parameter.count
    return total


def bytes_double_quantized(parameters: Iterable[Parameter]) -> int:
    """Bytes with linear layers in NF4 with quantized scales (4.127 bits per weight), the rest in 16 bits."""
    return round(sum(p.count * (_DOUBLE_BITS / 8 if p.quantizable else 2) for p in parameters))


def measure_loaded(path: Path, device: str) -> dict[str, int | None]:
    """Load a checkpoint as stored and report the bytes it takes; None for what this device does not report.

    `parameters` and `buffers` are tensors of modules. Quantization state that a library keeps beside them
    (bitsandbytes' absmax) is in neither: the allocator sees it, `parameters()` does not.
    """
    device = use_device(device)
    on_gpu = device.startswith("cuda")
    process = psutil.Process()
    resident = process.memory_info().rss
    free_before = torch.cuda.mem_get_info(device)[0] if on_gpu else 0
    model = open_checkpoint(path).model(None, device)
    return {
        "parameters": sum(p.numel() * p.element_size() for p in model.parameters()),
        "buffers": sum(b.numel() * b.element_size() for b in model.buffers()),
        "allocator, allocated": torch.cuda.memory_allocated(device) if on_gpu else None,
        "allocator, reserved": torch.cuda.memory_reserved(device) if on_gpu else None,
        "device, taken meanwhile": free_before - torch.cuda.mem_get_info(device)[0] if on_gpu else None,
        "process, resident growth": process.memory_info().rss - resident,
    }
