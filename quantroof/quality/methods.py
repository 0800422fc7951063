"""Ways to quantize a model: what each does, with which library, and what it needs. No torch here.

The arguments are those of compressed-tensors' QuantizationArgs and transformers' BitsAndBytesConfig.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from quantroof.errors import unknown_name
from quantroof.records.quality import BASELINE

Library = Literal["llmcompressor", "bitsandbytes", "none"]
Algorithm = Literal["rtn", "gptq", "awq"]


@dataclass(frozen=True, slots=True)
class Method:
    """One way to quantize the linear layers of a model (the head is left alone by all of them).

    `weights` and `activations` are QuantizationArgs, or `preset` names a scheme of compressed-tensors;
    `options` go to BitsAndBytesConfig. A checkpoint of a method that `unpacks_to_bf16` comes back in bf16,
    whatever it was made of. `scheme` is the scheme in `kernels.schemes` whose kernels run this.
    """

    name: str
    summary: str
    library: Library = "llmcompressor"
    algorithm: Algorithm = "rtn"
    smooth: bool = False
    preset: str | None = None
    weights: dict[str, Any] | None = None
    activations: dict[str, Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    calibrated: bool = False
    unpacks_to_bf16: bool = False
    scheme: str | None = None


def _int(bits: int, strategy: str, **more: Any) -> dict[str, Any]:
    return {"num_bits": bits, "type": "int", "symmetric": True, "strategy": strategy, **more}


_CHANNEL8 = _int(8, "channel")
_PER_TOKEN = _int(8, "token", dynamic=True)
_PER_TENSOR = _int(8, "tensor", dynamic=False)
_G128 = _int(4, "group", group_size=128)
_G128_ASYM = {**_G128, "symmetric": False}
_FOUR_BIT = {"load_in_4bit": True, "bnb_4bit_use_double_quant": False}

_TABLE = (
    Method(BASELINE, "the model as it is", library="none"),
    Method("w8a16-tensor", "int8 weights, one scale per matrix", weights=_int(8, "tensor")),
    Method("w8a16", "int8 weights, one scale per output channel", weights=_CHANNEL8, scheme="int8-w8a16"),
    Method(
        "w8a8-token",
        "int8 weights and activations, one scale per token",
        weights=_CHANNEL8,
        activations=_PER_TOKEN,
        scheme="int8-w8a8",
    ),
    Method(
        "w8a8-tensor",
        "int8 weights and activations, one calibrated scale per layer",
        weights=_CHANNEL8,
        activations=_PER_TENSOR,
        calibrated=True,
        scheme="int8-w8a8-static",
    ),
    Method(
        "smoothquant-token",
        "SmoothQuant, then as w8a8-token",
        smooth=True,
        weights=_CHANNEL8,
        activations=_PER_TOKEN,
        calibrated=True,
        scheme="int8-w8a8",
    ),
    Method(
        "smoothquant-tensor",
        "SmoothQuant, then as w8a8-tensor",
        smooth=True,
        weights=_CHANNEL8,
        activations=_PER_TENSOR,
        calibrated=True,
        scheme="int8-w8a8-static",
    ),
    Method(
        "fp8",
        "fp8 weights per channel, activations per token",
        preset="FP8_DYNAMIC",
        scheme="fp8-w8a8",
    ),
    Method("w4a16-channel", "int4 weights, one scale per output channel", weights=_int(4, "channel")),
    Method("w4a16-g128", "int4 weights in groups of 128", weights=_G128, scheme="int4-w4a16"),
    Method("w4a16-g32", "int4 weights in groups of 32", weights=_int(4, "group", group_size=32)),
    Method(
        "w4a16-g128-asym",
        "int4 weights with zero points, groups of 128",
        weights=_G128_ASYM,
        scheme="int4-zp-w4a16",
    ),
    Method(
        "gptq",
        "GPTQ, int4 in groups of 128",
        algorithm="gptq",
        weights=_G128,
        calibrated=True,
        scheme="int4-w4a16",
    ),
    Method(
        "awq",
        "AWQ, int4 with zero points in groups of 128",
        algorithm="awq",
        weights=_G128_ASYM,
        calibrated=True,
        scheme="int4-zp-w4a16",
    ),
    Method("nvfp4a16", "NVFP4 weights, 16-bit activations", preset="NVFP4A16", unpacks_to_bf16=True),
    Method("mxfp4a16", "MXFP4 weights, 16-bit activations", preset="MXFP4A16", unpacks_to_bf16=True),
    Method(
        "nf4",
        "NF4 weights in blocks of 64",
        library="bitsandbytes",
        options={**_FOUR_BIT, "bnb_4bit_quant_type": "nf4"},
        scheme="nf4-w4a16",
    ),
    Method(
        "nf4-double",
        "NF4 with quantized scales",
        library="bitsandbytes",
        options={**_FOUR_BIT, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    ),
    Method(
        "fp4",
        "FP4 weights in blocks of 64",
        library="bitsandbytes",
        options={**_FOUR_BIT, "bnb_4bit_quant_type": "fp4"},
    ),
    *(
        Method(
            f"llm-int8-{name}",
            f"LLM.int8(): activation columns {which} stay in 16 bits",
            library="bitsandbytes",
            options={"load_in_8bit": True, "llm_int8_threshold": threshold},
        )
        # bitsandbytes takes a threshold of 0 for "no column at all".
        for name, which, threshold in (
            ("6", "above 6", 6.0),
            ("60", "above 60", 60.0),
            ("off", "none", 0.0),
        )
    ),
)
METHODS: dict[str, Method] = {method.name: method for method in _TABLE}
QUANTIZING = tuple(name for name in METHODS if name != BASELINE)


def method(name: str) -> Method:
    """Look a method up by name."""
    if name not in METHODS:
        raise unknown_name("method", name, list(METHODS))
    return METHODS[name]
