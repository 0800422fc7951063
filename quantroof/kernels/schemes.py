"""Schemes: the triples of weight, activation and output format that users choose between.

`w4a16` means 4-bit weights times 16-bit activations. A weight-only scheme multiplies in the activations'
format after dequantization; a W8A8 scheme multiplies in int8 or fp8. The plain `-w8a8` schemes quantize the
bf16 activations inside the timed call, because a serving engine must; `-static` ones receive them quantized.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from quantroof.errors import unknown_name
from quantroof.kernels.formats import Element, Format


@dataclass(frozen=True, slots=True)
class Scheme:
    """One choice of formats for a linear layer, with the name that suites and reports use.

    The two other operations are what such a choice brings with it: quantizing activations before a W8A8
    product, and writing weights out in bf16 before a plain one.
    """

    name: str
    weight: Format
    activation: Format
    output: Format
    summary: str
    operation: Literal["linear", "act_quant", "dequantize", "attention"] = "linear"

    def __hash__(self) -> int:
        """By name and group alone: schemes are keys of caches, and every field would take longer."""
        return hash((self.name, self.weight.group))

    @property
    def compute(self) -> Element:
        """The element type that enters the multiplier, hence which matrix roof applies."""
        return compute_element(self.activation)

    def with_group(self, group: int) -> Scheme:
        """The same scheme with another weight group size."""
        return replace(self, weight=self.weight.with_group(group))


def compute_element(activation: Format) -> Element:
    """The multiplier's input type: the activations' element, to which weight-only formats are dequantized."""
    return activation.element


# name, weight, activation, output, what it is
_TABLE = (
    ("fp32", "fp32", "fp32", "fp32", "single precision"),
    ("tf32", "tf32", "tf32", "fp32", "fp32 storage, products of 10-bit mantissas"),
    ("fp16", "fp16", "fp16", "fp16", "half precision"),
    ("bf16", "bf16", "bf16", "bf16", "bfloat16, the serving baseline"),
    ("fp8-w8a8", "fp8_e4m3.channel", "fp8_e4m3.token.from_bf16", "bf16", "fp8 products, quantizing included"),
    (
        "fp8-w8a8-static",
        "fp8_e4m3.tensor",
        "fp8_e4m3.tensor",
        "bf16",
        "fp8 products, activations arrive as fp8",
    ),
    (
        "fp8-block-w8a8",
        "fp8_e4m3.b128",
        "fp8_e4m3.g128.from_bf16",
        "bf16",
        "fp8 products, scales of 128 x 128 blocks and 1 x 128 groups, quantizing included",
    ),
    (
        "fp8-block-w8a8-static",
        "fp8_e4m3.b128",
        "fp8_e4m3.g128",
        "bf16",
        "fp8 products with block scales, activations arrive as fp8",
    ),
    ("int8-w8a8", "int8.channel", "int8.token.from_bf16", "bf16", "int8 products, quantizing included"),
    ("int8-w8a8-static", "int8.channel", "int8.token", "bf16", "int8 products, activations arrive as int8"),
    ("int8-w8a16", "int8.channel", "bf16", "bf16", "int8 weights, bf16 products"),
    ("fp8-w8a16", "fp8_e4m3.channel", "bf16", "bf16", "fp8 weights, bf16 products"),
    ("int4-w4a16", "int4.g128", "bf16", "bf16", "int4 weights in groups of 128, bf16 products"),
    ("int4-zp-w4a16", "int4.g128.zp", "bf16", "bf16", "int4 weights with zero points, bf16 products"),
    ("int4-actorder-w4a16", "int4.g128.actorder", "bf16", "bf16", "int4 weights in GPTQ's activation order"),
    ("nf4-w4a16", "nf4.g64", "bf16", "bf16", "NF4 weights in blocks of 64, bf16 products"),
    ("mxfp8-w8a8", "mxfp8.g32", "mxfp8.g32.from_bf16", "bf16", "MXFP8 products, quantizing included"),
    ("mxfp4-w4a4", "mxfp4.g32", "mxfp4.g32.from_bf16", "bf16", "MXFP4 products, quantizing included"),
    ("nvfp4-w4a4", "nvfp4.g16", "nvfp4.g16.from_bf16", "bf16", "NVFP4 products, quantizing included"),
    ("mxfp4-w4a8", "mxfp4.g32", "mxfp8.g32.from_bf16", "bf16", "MXFP4 weights, MXFP8 activations"),
    ("int4-w4a8", "int4.g128", "fp8_e4m3.token.from_bf16", "bf16", "int4 weights, fp8 activations"),
    ("mxfp4-w4a16", "mxfp4.g32", "bf16", "bf16", "MXFP4 weights, bf16 products"),
    ("nvfp4-w4a16", "nvfp4.g16", "bf16", "bf16", "NVFP4 weights, bf16 products"),
)

# The same for the other operations: what they read, and what they write.
_QUANTIZING = (
    ("int8-quant", "bf16", "int8.token", "activations to int8, one scale per token"),
    ("fp8-quant", "bf16", "fp8_e4m3.token", "activations to fp8, one scale per token"),
)
_DEQUANTIZING = (
    ("int8-dequant", "int8.channel", "bf16", "int8 weights written out in bf16"),
    ("int4-dequant", "int4.g128", "bf16", "int4 weights written out in bf16"),
    ("nf4-dequant", "nf4.g64", "bf16", "NF4 weights written out in bf16"),
)
# KV caches of decode attention; queries and outputs are bf16. fp8 has one scale per tensor, as in engines.
_CACHES = (
    ("bf16-kv", "bf16", "KV cache in bf16"),
    ("fp8-kv", "fp8_e4m3.tensor", "KV cache in fp8, one scale per tensor"),
    ("int8-kv", "int8.token", "KV cache in int8, one scale per token and head"),
    ("nvfp4-kv", "nvfp4.g16", "KV cache in NVFP4, one scale per 16 values and one per tensor"),
)
_NONE = Format.parse("none")
_BF16 = Format.parse("bf16")

SCHEMES: dict[str, Scheme] = {
    name: Scheme(name, Format.parse(weight), Format.parse(activation), Format.parse(output), summary)
    for name, weight, activation, output, summary in _TABLE
}
OTHER_OPERATIONS: dict[str, Scheme] = {
    **{
        name: Scheme(name, _NONE, Format.parse(given), Format.parse(made), summary, "act_quant")
        for name, given, made, summary in _QUANTIZING
    },
    **{
        name: Scheme(name, Format.parse(given), _NONE, Format.parse(made), summary, "dequantize")
        for name, given, made, summary in _DEQUANTIZING
    },
}
CACHES: dict[str, Scheme] = {
    name: Scheme(name, Format.parse(cache), _BF16, _BF16, summary, "attention")
    for name, cache, summary in _CACHES
}


def scheme(name: str, where: str | None = None) -> Scheme:
    """Look a scheme up by name; the error names `where` (a file and key) and the nearest names."""
    known = {**SCHEMES, **OTHER_OPERATIONS, **CACHES}
    if name not in known:
        raise unknown_name("format", name, list(known), where)
    return known[name]


@lru_cache(maxsize=1024)
def cache_scheme(name: str, where: str | None = None) -> Scheme:
    """A KV-cache format by name."""
    if name not in CACHES:
        raise unknown_name("KV-cache format", name, list(CACHES), where)
    return CACHES[name]


@lru_cache(maxsize=1024)
def scheme_of(weight: Format, activation: Format, output: Format) -> Scheme | None:
    """The scheme that formats belong to, whatever group size and layout; None for a triple without a name."""
    for candidate in (*SCHEMES.values(), *OTHER_OPERATIONS.values()):
        sized = candidate if weight.group is None else candidate.with_group(weight.group)
        if weight.swizzled:
            sized = replace(
                sized, weight=replace(sized.weight, swizzled=sized.weight.element.block is not None)
            )
        if (sized.weight, sized.activation, sized.output) == (weight, activation, output):
            return sized
    return None


def catalog_order(names: Iterable[str]) -> list[str]:
    """Scheme names in the order of the catalog; names that it does not list come last, by name."""
    ranks = {name: rank for rank, name in enumerate(SCHEMES)}
    return sorted(names, key=lambda name: (ranks.get(name, len(ranks)), name))
