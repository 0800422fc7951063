"""Parameters of a model by its configuration, counted without weights, and bytes they take in a format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from quantroof.kernels.formats import Format
from quantroof.quality.checkpoint import architecture
from quantroof.quality.environment import load
from quantroof.quality.refusals import accepting

# Weight formats of interest, with what else is stored in 16 bits.
FORMATS = ("bf16", "fp8_e4m3.channel", "int8.channel", "int4.g128", "int4.g128.zp", "nf4.g64")
# QLoRA's double quantization: an 8-bit scale a block of 64, and an fp32 scale of scales a 256 blocks.
_DOUBLE_BITS = 4 + 8 / 64 + 32 / (64 * 256)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the architecture. `quantizable` marks matrices of linear layers other than the head."""

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
    return [Parameter(n, tuple(p.shape), id(p) in linear) for n, p in model.named_parameters()]


def bytes_in(parameters: Iterable[Parameter], format_text: str) -> int:
    """Bytes with linear layers in a format and everything else in 16 bits."""
    fmt = Format.parse(format_text)
    total = 0
    for parameter in parameters:
        if parameter.quantizable:
            rows, columns = parameter.shape
            total += fmt.storage_bytes(rows, columns)
        else:
            total += 2 * parameter.count
    return total


def bytes_double_quantized(parameters: Iterable[Parameter]) -> int:
    """Bytes with linear layers in NF4 with quantized scales (4.127 bits a weight), the rest in 16 bits."""
    return round(sum(p.count * (_DOUBLE_BITS / 8 if p.quantizable else 2) for p in parameters))
