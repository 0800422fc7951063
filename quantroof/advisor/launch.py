"""The vLLM command that serves an option, with the reason for each flag.

The flags are in vLLM's documentation ("Engine Arguments", "Quantization"). All versions accept `fp8`; the
newest also accept fp8_per_tensor and fp8_per_channel. vLLM quantizes on load only to fp8 and, with
bitsandbytes, to nf4; other formats need a checkpoint made for them, and the reason says so.
"""

from __future__ import annotations

import shlex

import msgspec

from quantroof.advisor.advice import Advice, Option
from quantroof.advisor.caveats import INT8_REFUSED
from quantroof.errors import UsageError

# Engine flag of each format, None where the checkpoint itself says it, with what must be true of it.
_QUANTIZATION: dict[str, tuple[str | None, str]] = {
    "bf16": (None, "the checkpoint's own 16-bit weights"),
    "fp16": (None, "the checkpoint's own weights, cast to fp16"),
    "fp8-w8a8": ("fp8", "quantized on load, one scale per matrix; activations are scaled as they come"),
    "fp8-w8a16": ("fp8", "without fp8 instructions vLLM's Marlin kernels keep fp8 as storage only"),
    "int8-w8a8": (None, "needs a compressed-tensors W8A8 checkpoint, which vLLM detects"),
    "int8-w8a16": (None, "needs a compressed-tensors or GPTQ W8A16 checkpoint, which vLLM detects"),
    "int4-w4a16": (None, "needs a GPTQ or AWQ checkpoint in groups of 128, which vLLM detects"),
    "nf4-w4a16": ("bitsandbytes", "quantized on load to nf4 in blocks of 64"),
}
# vLLM's 8- and 4-bit integer caches have one scale per token and head; here one per 64 elements counts.
_KV_FLAGS = {
    "fp16": "auto", "fp8": "fp8", "int8": "int8_per_token_head", "int4": "int4_per_token_head",
}  # fmt: skip


class EngineOption(msgspec.Struct, frozen=True, kw_only=True):
    """One command-line option of the engine, with its value and the reason for it."""

    name: str
    value: str
    reason: str


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """A command line, and what it cannot do."""

    engine: str
    model: str
    options: tuple[EngineOption, ...]
    warnings: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command, quoted for a shell."""
        words = ["vllm", "serve", self.model]
        for option in self.options:
            words += [option.name, option.value]
        return shlex.join(words)


def vllm(advice: Advice, option: Option) -> Launch:
    """The vLLM command of an option. UsageError for what vLLM cannot serve."""
    if option.format not in _QUANTIZATION:
        raise UsageError(f"vLLM does not serve {option.format}", where="--emit", hint=_servable())
    return Launch(
        engine="vllm",
        model=advice.model.repository or advice.model.id,
        options=tuple(_engine_options(advice, option)),
        warnings=tuple(_warnings(advice, option)),
    )


def _engine_options(advice: Advice, option: Option) -> list[EngineOption]:
    request, memory = advice.request, option.memory
    method, reason = _QUANTIZATION[option.format]
    gb = f"{memory.weights / 1e9:.1f} GB of weights per GPU"
    options = [EngineOption(name="--tensor-parallel-size", value=str(option.gpus), reason=gb)]
    if method is not None:
        options.append(EngineOption(name="--quantization", value=method, reason=reason))
    dtype = advice.machine.compute_name("fp16" if option.format == "fp16" else "bf16")
    name = {"bf16": "bfloat16", "fp16": "float16"}[dtype]
    options += [
        EngineOption(name="--dtype", value=name, reason=f"products and activations in {dtype}"),
        EngineOption(
            name="--kv-cache-dtype",
            value=_KV_FLAGS[request.kv],
            reason=f"{memory.kv_per_sequence / 1e6:.0f} MB per sequence and GPU at {request.context} tokens",
        ),
        EngineOption(name="--max-model-len", value=str(request.context), reason="the planned context"),
        EngineOption(
            name="--gpu-memory-utilization",
            value=f"{request.reserve.utilization:g}",
            reason=f"{memory.usable / 1e9:.1f} GB for vLLM, {memory.sequences} sequences fit",
        ),
        EngineOption(
            name="--max-num-seqs", value=str(option.batch or 1), reason=_batch_reason(advice, option)
        ),
    ]
    return options


def _batch_reason(advice: Advice, option: Option) -> str:
    target = advice.request.latency_s
    took = f"{option.decode.total.seconds * 1e3:.1f} ms per token" if option.decode else "not timed"
    return f"{took} at this batch" + (f", within {target * 1e3:g} ms" if target and option.batch else "")


def _warnings(advice: Advice, option: Option) -> list[str]:
    method, reason = _QUANTIZATION[option.format]
    warnings = []
    if advice.request.kv in ("int8", "int4"):
        warnings.append(
            f"only vLLM releases of 2026 have {_KV_FLAGS[advice.request.kv]}: check `vllm serve --help`"
        )
    if method is None and option.format not in ("bf16", "fp16"):
        warnings.append(
            f"{option.format}: {reason}; {advice.model.repository or advice.model.id} itself is not one"
        )
    if option.format == "fp8-w8a16" and advice.machine.multiplies_fp8 is False:
        warnings.append(
            f"{advice.machine.name} has no fp8 instructions: fp8 is not supported as compute here"
        )
    if option.format == "fp8-w8a16" and advice.machine.multiplies_fp8:
        warnings.append("on this GPU --quantization fp8 computes in fp8 as well, so it serves fp8-w8a8")
    if option.format == "int8-w8a8" and advice.machine.int8_refused:
        warnings.append(INT8_REFUSED)
    return warnings + [f"this option is rejected: {reason}" for reason in option.reasons]


def _servable() -> str:
    return f"it serves {', '.join(_QUANTIZATION)}"
