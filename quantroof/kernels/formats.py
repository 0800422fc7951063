"""Number formats with their scale schemes, and their sizes in bits and bytes. Imports no torch.

A Format is written `element[.granularity][.zp][.actorder][.from_element]`:

    bf16                     no scales
    int8.channel             one scale per output channel (row of an [N, K] weight)
    int8.token               one scale per row of the [M, K] activations, which arrive quantized
    int8.token.from_bf16     the same, but they arrive as bf16 and are quantized inside the call
    int4.g128                one scale per group of 128 along K
    int4.g128.zp             ... and a zero point of the element's own width (AWQ, GPTQ without symmetry)
    int4.g128.actorder       ... groups of columns sorted by importance, not of neighbors (GPTQ's desc_act)
    nf4.g64                  16 levels of a normal distribution, one fp32 largest magnitude per 64 values
    fp8_e4m3.b128            one fp32 scale per block of 128 x 128 (DeepSeek-V3's weights)
    fp8_e4m3.g128            one fp32 scale per group of 128 along K (its activations)
    mxfp8.g32, mxfp4.g32     OCP Microscaling: one power of two (e8m0, 8 bits) per 32 values of e4m3 or e2m1
    nvfp4.g16                one e4m3 scale per 16 values of e2m1, and one fp32 scale per tensor
    mxfp4.g32.swizzled       ... the block scales in the 32 x 4 x 4 order of NVIDIA's matrix units, padded
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

from quantroof.errors import UsageError, unknown_name

Granularity = Literal["none", "tensor", "channel", "token", "group", "block"]


@dataclass(frozen=True, slots=True)
class Element:
    """A scalar type: width in bits and largest finite magnitude.

    `scale` is the 8-bit type of the scale that a block-scaled element has for every `block` values along K.

    Sources: IEEE 754; bfloat16 and tf32 by their mantissa widths; OCP 8-bit Floating Point Specification
    1.0 for e4m3 (448) and e5m2 (57344); two's complement for integers; QLoRA (arXiv 2305.14314) for nf4; OCP
    Microscaling Formats 1.0 for mxfp8, mxfp4 and e8m0; NVIDIA's cuBLAS documentation for nvfp4.
    """

    name: str
    bits: int
    max_value: float
    kind: Literal["float", "int", "codebook"]
    scale: Literal["e8m0", "e4m3"] | None = None
    block: int | None = None

    @property
    def is_e2m1(self) -> bool:
        """Whether a code is a sign and one of eight magnitudes, as in both 4-bit floats."""
        return self.scale is not None and self.bits == 4


ELEMENTS: dict[str, Element] = {
    e.name: e
    for e in (
        Element("fp32", 32, 3.4028234663852886e38, "float"),
        # tf32 is a way to multiply fp32 storage: 32 bits in memory, 10 mantissa bits in the product.
        Element("tf32", 32, 3.4028234663852886e38, "float"),
        Element("fp16", 16, 65504.0, "float"),
        Element("bf16", 16, 3.3895313892515355e38, "float"),
        Element("fp8_e4m3", 8, 448.0, "float"),
        Element("fp8_e5m2", 8, 57344.0, "float"),
        Element("int8", 8, 127.0, "int"),
        Element("int4", 4, 7.0, "int"),
        Element("nf4", 4, 1.0, "codebook"),
        Element("mxfp8", 8, 448.0, "float", "e8m0", 32),
        Element("mxfp4", 4, 6.0, "float", "e8m0", 32),
        Element("nvfp4", 4, 6.0, "float", "e4m3", 16),
        # An operand that an operation does not have, as the weight of activation quantization.
        Element("none", 0, 0.0, "float"),
    )
}

# Bits of one scale. Group scales ship as fp16/bf16 in every int4 checkpoint format; bitsandbytes keeps an
# fp32 absmax per NF4 block (0.5 bit per weight at 64); epilogue scales are fp32 in cuBLASLt and CUTLASS.
_SCALE_BITS: dict[Granularity, int] = {
    "none": 0,
    "tensor": 32,
    "channel": 32,
    "token": 32,
    "group": 16,
    "block": 32,
}
# NF4's largest magnitudes, and the group scales that 128-block fp8 recipes read (cuBLASLt, DeepSeek-V3).
_WIDE_GROUP_SCALE_BITS = 32
_BLOCK_SCALE_BITS = 8
_TENSOR_SCALE_BITS = 32  # nvfp4 only: e4m3 has too small a range to be a tensor's only scale
# The swizzled order has tiles of 128 rows and 4 scales along K; what is missing is padded.
SWIZZLED_ROWS, SWIZZLED_COLUMNS = 128, 4
# GPTQ checkpoints store the group of every column (g_idx) as int32.
_ORDER_BITS = 32

_TEXT = re.compile(
    r"(?P<element>[a-z0-9_]+?)"
    r"(?:\.(?P<granularity>tensor|channel|token|[gb](?P<group>\d{1,15})))?"
    r"(?P<zp>\.zp)?"
    r"(?P<order>\.actorder)?"
    r"(?P<swizzled>\.swizzled)?"
    r"(?:\.from_(?P<source>[a-z0-9_]+))?"
)


@dataclass(frozen=True, slots=True)
class Format:
    """An element type with the granularity of its scales.

    `group` counts elements along K that share a scale, and rows too where the granularity is `block`;
    `zero_point` adds one zero of the element's width per scale; `act_order` means that groups are made of K's
    columns in a stored order (one 32-bit index per column); `arrives_as` is the element in which activations
    reach a call that quantizes them itself; `swizzled` means block scales in the order of the matrix units.
    """

    element: Element
    granularity: Granularity = "none"
    group: int | None = None
    zero_point: bool = False
    arrives_as: Element | None = None
    act_order: bool = False
    swizzled: bool = False

    def __hash__(self) -> int:
        """By what differs most: formats are keys of caches, and every field would take longer."""
        return hash((self.element.name, self.granularity, self.group))

    def __post_init__(self) -> None:
        if (self.granularity in ("group", "block")) != (self.group is not None):
            raise ValueError("a group or block format needs a size, and only these have one")
        if self.group is not None and self.group < 1:
            raise UsageError(f"group size {self.group} is not positive")
        if self.zero_point and self.element.kind != "int":
            raise UsageError(f"{self.element.name} has no zero point: only integers do")
        if self.zero_point and self.granularity == "none":
            raise UsageError("a zero point needs a scale: name a granularity")
        if self.act_order and self.granularity != "group":
            raise UsageError("an activation order needs groups")
        self._check_block_scales()

    def _check_block_scales(self) -> None:
        name, block = self.element.name, self.element.block
        if block is not None and (self.granularity != "group" or self.group != block):
            raise UsageError(f"{name} has one scale per {block} values: write {name}.g{block}")
        if block is not None and self.act_order:
            raise UsageError(f"{name} has no activation order: its blocks are neighbors along K")
        if self.swizzled and block is None:
            have = ", ".join(e.name for e in ELEMENTS.values() if e.block)
            raise UsageError(f"{name} has no block scales to swizzle: {have} have")

    def __str__(self) -> str:
        """The stable text that `parse` reads."""
        text = self.element.name
        if self.group is not None:
            text += f".{self.granularity[0]}{self.group}"
        elif self.granularity != "none":
            text += f".{self.granularity}"
        if self.zero_point:
            text += ".zp"
        if self.act_order:
            text += ".actorder"
        if self.swizzled:
            text += ".swizzled"
        return f"{text}.from_{self.arrives_as.name}" if self.arrives_as else text

    @staticmethod
    @lru_cache(maxsize=512)
    def parse(text: str) -> Format:
        """Read the stable text of a format; UsageError names what is not understood."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise UsageError(
                f"'{text}' is not a number format", hint="write it like bf16, int8.channel or int4.g128"
            )
        found = match.groupdict()
        group = int(found["group"]) if found["group"] else None
        named: dict[str, Granularity] = {"tensor": "tensor", "channel": "channel", "token": "token"}
        sized: Granularity = "block" if (found["granularity"] or "").startswith("b") else "group"
        granularity = sized if group is not None else named.get(found["granularity"] or "", "none")
        source = element(found["source"]) if found["source"] else None
        flags = {"zero_point": "zp", "act_order": "order", "swizzled": "swizzled"}
        options = {field: bool(found[name]) for field, name in flags.items()}
        return Format(element(found["element"]), granularity, group, arrives_as=source, **options)

    @property
    def traffic_element(self) -> Element:
        """The element type in which the values cross the memory bus."""
        return self.arrives_as or self.element

    @property
    def scale_bits(self) -> int:
        """Bits of one scale of this format."""
        if self.element.scale is not None:
            return _BLOCK_SCALE_BITS
        if self.element.kind != "int" and self.granularity == "group":
            return _WIDE_GROUP_SCALE_BITS
        return _SCALE_BITS[self.granularity]

    @property
    def tensor_scale_bits(self) -> int:
        """Bits of the scale of the whole tensor that block scales are relative to; 0 without one."""
        return _TENSOR_SCALE_BITS if self.element.scale == "e4m3" else 0

    def scale_count(self, rows: int, cols: int) -> int:
        """How many scales a [rows, cols] tensor has, padding included; groups run along cols, which is K."""
        if self.group is not None:
            if cols % self.group:
                raise UsageError(f"group size {self.group} does not divide K = {cols}")
            if self.swizzled:
                rows = _padded(rows, SWIZZLED_ROWS)
                return rows * _padded(cols // self.group, SWIZZLED_COLUMNS)
            sharing = self.group if self.granularity == "block" else 1
            return -(-rows // sharing) * (cols // self.group)
        return {"none": 0, "tensor": 1, "channel": rows, "token": rows}[self.granularity]

    def storage_bytes(self, rows: int, cols: int) -> int:
        """Compulsory bytes of a [rows, cols] tensor: packed elements, scales and zero points, each once."""
        if self.arrives_as is not None:
            return _ceil_bytes(rows * cols * self.arrives_as.bits)
        scales = self.scale_count(rows, cols)
        zeros = scales * self.element.bits if self.zero_point else 0
        order = cols * _ORDER_BITS if self.act_order else 0
        extra = scales * self.scale_bits + zeros + order + (self.tensor_scale_bits if rows else 0)
        return _ceil_bytes(rows * cols * self.element.bits) + _ceil_bytes(extra)

    def bits_per_element(self, rows: int, cols: int) -> float:
        """Average stored bits per element, scales and zero points included (int4.g128 gives 4.125)."""
        return self.storage_bytes(rows, cols) * 8 / (rows * cols)

    def with_group(self, group: int) -> Format:
        """The same format with another group size; one without groups, or with fixed ones, is unchanged."""
        sized = self.granularity == "group" and self.element.block is None
        return replace(self, group=group) if sized else self


@lru_cache(maxsize=1)
def nf4_levels() -> tuple[float, ...]:
    """The 16 levels of NF4 in [-1, 1], ascending, by their published construction.

    QLoRA (arXiv 2305.14314), appendix E: quantiles of the standard normal distribution at evenly spaced
    probabilities, 8 below and 7 above zero and zero itself, divided by the largest. The outermost probability
    is 0.9677083, the value that the reference implementation (bitsandbytes, create_normal_map) uses.
    """
    quantile = NormalDist().inv_cdf
    outer = 0.9677083
    above = [quantile(outer + (0.5 - outer) * i / 8) for i in range(8)]
    below = [-quantile(outer + (0.5 - outer) * i / 7) for i in range(7)]
    top = max(above)
    return tuple(sorted(value / top for value in (*below, 0.0, *above)))


_E2M1_MAGNITUDES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def e2m1_levels() -> tuple[float, ...]:
    """The value of every e2m1 code (OCP Microscaling Formats 1.0, 5.3.3): bit 3 is the sign."""
    return (*_E2M1_MAGNITUDES, *(-value for value in _E2M1_MAGNITUDES))


def element(name: str) -> Element:
    """Look an element type up by name."""
    if name not in ELEMENTS:
        raise unknown_name("element type", name, list(ELEMENTS))
    return ELEMENTS[name]


def _ceil_bytes(bits: int) -> int:
    return (bits + 7) // 8


def _padded(count: int, to: int) -> int:
    return -(-count // to) * to
