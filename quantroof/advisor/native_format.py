"""The format that a checkpoint is stored in, by `quantization_config` and its siblings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

# What a list of modules that are not converted calls the parts of a model, every layer's of them.
_PARTS = {
    "attention": re.compile(r"self_attn\*?$|self_attn\.\*$|\*\.attn\.\*"),
    "mlp": re.compile(r"shared_experts?\*?$|shared_experts?\.\*$|mlp\\\.\(gate|layers\.\*?\d*\.mlp\*?$"),
}
_LEFT_OUT = ("modules_to_not_convert", "ignore", "exclude_modules", "ignored_layers")
_BY_METHOD = {"mxfp4": "mxfp4-w4a16", "awq": "int4-w4a16", "gptq": "int4-w4a16", "bitsandbytes": "nf4-w4a16"}
# NVIDIA ModelOpt's names.
_BY_ALGORITHM = {
    "NVFP4": "nvfp4-w4a4", "W4A16_NVFP4": "nvfp4-w4a16", "FP8": "fp8-w8a8-static", "W4A16_AWQ": "int4-w4a16",
}  # fmt: skip


def native_format(data: Mapping[str, Any]) -> str | None:
    """The name of a serving format, or None for 16 bit and for schemes that have no name here."""
    stated = data.get("quantization_config") or data.get("compression_config") or data.get("quantization")
    if not isinstance(stated, Mapping):
        return None
    algorithm = stated.get("quant_algo")
    if algorithm == "MIXED_PRECISION":
        return _most_common(stated.get("quantized_layers"))
    if algorithm is not None:
        return _BY_ALGORITHM.get(str(algorithm))
    method = str(stated.get("quant_method"))
    if method in ("fp8", "fbgemm_fp8"):
        return _fp8(stated)
    if method == "compressed-tensors":
        return _compressed(stated)
    if stated.get("bits", stated.get("w_bit")) == 8:
        return "int8-w8a16"
    return _BY_METHOD.get(method)


def wide_parts(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The parts of a model that its quantized checkpoint leaves in 16 bit, beside head and router."""
    stated = data.get("quantization_config") or data.get("compression_config") or data.get("quantization")
    if not isinstance(stated, Mapping):
        return ()
    lists = [stated[name] for name in _LEFT_OUT if isinstance(stated.get(name), list)]
    modules = [str(module) for named in lists for module in named]
    return tuple(part for part, named in _PARTS.items() if any(map(named.search, modules)))


def _most_common(layers: object) -> str | None:
    """The format of most layers, where each has its own."""
    names = [row.get("quant_algo") for row in layers.values()] if isinstance(layers, Mapping) else []
    return next((_BY_ALGORITHM.get(str(name)) for name, _ in Counter(names).most_common(1)), None)


def _fp8(stated: Mapping[str, Any]) -> str:
    if stated.get("weight_block_size"):
        return "fp8-block-w8a8"
    return "fp8-w8a8-static" if stated.get("activation_scheme") == "static" else "fp8-w8a8"


def _compressed(stated: Mapping[str, Any]) -> str | None:
    """compressed-tensors: the first group of layers."""
    groups = stated.get("config_groups")
    first: Mapping[str, Any] = next(iter(groups.values()), {}) if isinstance(groups, Mapping) else {}
    weights, inputs = first.get("weights") or {}, first.get("input_activations")
    bits, kind = weights.get("num_bits"), weights.get("type")
    if (bits, kind) == (4, "float"):
        if weights.get("group_size") == 32:
            return "mxfp4-w4a16"
        return "nvfp4-w4a4" if inputs else "nvfp4-w4a16"
    if (bits, kind) == (8, "float") and inputs:
        if weights.get("strategy") == "block":
            return "fp8-block-w8a8"
        return "fp8-w8a8" if inputs.get("dynamic") else "fp8-w8a8-static"
    if kind != "int" or bits not in (4, 8):
        return None
    if bits == 4:
        return None if inputs else "int4-w4a16"
    return "int8-w8a8" if inputs else "int8-w8a16"
