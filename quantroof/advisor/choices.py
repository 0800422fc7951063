"""The formats a model can be served in: the schemes that kernels measure, and two for storage only."""

from __future__ import annotations

from dataclasses import replace

from quantroof.errors import UsageError, unknown_name
from quantroof.kernels.formats import Format
from quantroof.kernels.schemes import SCHEMES, Scheme

_BF16 = Format.parse("bf16")
# Weight-only fp8 is what an engine falls back to without fp8 instructions (vLLM's Marlin kernels); nf4 in
# blocks of 64 with fp32 scales is what bitsandbytes stores.
_STORED_ONLY = (
    Scheme("fp8-w8a16", Format.parse("fp8_e4m3.channel"), _BF16, _BF16, "fp8 weights, bf16 products"),
    Scheme("nf4-w4a16", Format.parse("nf4.g64"), _BF16, _BF16, "nf4 weights in blocks of 64, bf16 products"),
)
CHOICES: dict[str, Scheme] = {
    # Where activations arrive quantized, only fp8 with one scale per matrix is what engines serve.
    **{name: s for name, s in SCHEMES.items() if not name.endswith("-static") or name == "fp8-w8a8-static"},
    **{s.name: s for s in _STORED_ONLY if s.name not in SCHEMES},
}
DEFAULT = ("bf16", "fp8-w8a8", "fp8-w8a16", "int8-w8a8", "int8-w8a16", "int4-w4a16", "nf4-w4a16")

# KV-cache formats. Eight- and four-bit integers keep one 16-bit scale per token and group of 64
# elements; fp8 has one scale per layer, which is nothing per token.
KV_FORMATS: dict[str, Format] = {
    "fp16": Format.parse("fp16"),
    "fp8": Format.parse("fp8_e4m3"),
    "int8": Format.parse("int8.g64"),
    "int4": Format.parse("int4.g64"),
}


def choice(name: str) -> Scheme:
    """A serving format by name."""
    if name not in CHOICES:
        raise unknown_name("format", name, list(CHOICES))
    return CHOICES[name]


def named(text: str) -> Scheme:
    """The scheme behind a case's scheme name: `int4-w4a16-g64` is int4-w4a16 in groups of 64."""
    name, mark, group = text.rpartition("-g")
    return CHOICES[name].with_group(int(group)) if mark and group.isdigit() else CHOICES[text]


def kv_format(name: str) -> Format:
    """A KV-cache format by name."""
    if name not in KV_FORMATS:
        raise unknown_name("KV-cache format", name, list(KV_FORMATS))
    return KV_FORMATS[name]


_fitted: dict[tuple[str, int | None, int], Scheme] = {}


def fitted(scheme: Scheme, k: int) -> Scheme:
    """The scheme with the largest group that divides K, as quantizers choose (2880 = 45 x 64)."""
    key = scheme.name, scheme.weight.group, k  # hashing a whole scheme would take longer than the search
    if key not in _fitted:
        _fitted[key] = _fit(scheme, k)
    return _fitted[key]


def _fit(scheme: Scheme, k: int) -> Scheme:
    group = scheme.weight.group
    if group is None or k % group == 0:
        return scheme
    if scheme.weight.element.block:
        raise UsageError(f"blocks of {group} do not divide K = {k}", hint="take another GPU count or format")
    for smaller in (g for g in (64, 32, 16) if g < group):
        if k % smaller == 0:
            return replace(scheme, weight=replace(scheme.weight, group=smaller))
    raise UsageError(f"no group of 16 or more divides K = {k}", hint="take another GPU count or format")


def wide_scheme(scheme: Scheme) -> Scheme:
    """The scheme of what a quantized checkpoint leaves alone: the type of activations between layers."""
    arriving = scheme.activation.traffic_element.name
    return choice(arriving if arriving in CHOICES else scheme.output.element.name)


def weight_only(scheme: Scheme) -> bool:
    """Whether the weights are narrower than what enters the multiplier."""
    return scheme.weight.element.name != scheme.activation.element.name
