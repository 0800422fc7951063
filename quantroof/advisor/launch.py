"""The command that serves an option with vLLM, each flag with the reason from the plan.

Flags are those of vLLM's engine arguments (docs: "Engine Arguments", "Quantization"). Old and new versions
understand `fp8`; the newest also say fp8_per_tensor and fp8_per_channel. Formats that need a checkpoint made
for them say so: of those here vLLM quantises on load only to fp8 and, by bitsandbytes, to nf4.
"""

from __future__ import annotations

import shlex

import msgspec

from quantroof.advisor.advice import Advice, Option
from quantroof.errors import UsageError

ENGINES = ("vllm",)
# Engine flag of each format, None where the checkpoint itself says it, with what must be true of it.
_QUANTISATION: dict[str, tuple[str | None, str]] = {
    "bf16": (None, "the checkpoint's own 16-bit weights"),
    "fp16": (None, "the checkpoint's own weights, cast to fp16"),
    "fp8-w8a8": ("fp8", "quantised on load, one scale a matrix; activations are scaled as they come"),
    "fp8-w8a16": ("fp8", "without fp8 instructions vLLM's Marlin kernels keep fp8 as storage only"),
    "int8-w8a8": (None, "needs a compressed-tensors W8A8 checkpoint, which vLLM detects"),
    "int8-w8a16": (None, "needs a compressed-tensors or GPTQ W8A16 checkpoint, which vLLM detects"),
    "int4-w4a16": (None, "needs a GPTQ or AWQ checkpoint in groups of 128, which vLLM detects"),
    "nf4-w4a16": ("bitsandbytes", "quantised on load to nf4 in blocks of 64"),
}
# vLLM's 8- and 4-bit integer caches have one scale a token and head, not one for 64 elements as counted here.
_KV_FLAGS = {
    "fp16": "auto", "fp8": "fp8", "int8": "int8_per_token_head", "int4": "int4_per_token_head",
}  # fmt: skip


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """One flag with its value and why it has it."""

    name: str
    value: str
    reason: str


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """A command line, and what it cannot do."""

    engine: str
    model: str
    flags: tuple[Flag, ...]
    warnings: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command, quoted for a shell."""
        words = ["vllm", "serve", self.model]
        for flag in self.flags:
            words += [flag.name, flag.value]
        return shlex.join(words)


def vllm(advice: Advice, option: Option) -> Launch:
    """The vLLM command of an option. UsageError for what vLLM cannot serve."""
    if option.format not in _QUANTISATION:
        raise UsageError(f"vLLM does not serve {option.format}", where="--emit", hint=_servable())
    return Launch(
        engine="vllm",
        model=advice.model.repository or advice.model.id,
        flags=tuple(_flags(advice, option)),
        warnings=tuple(_warnings(advice, option)),
    )


def _flags(advice: Advice, option: Option) -> list[Flag]:
    request, fit = advice.request, option.fit
    method, reason = _QUANTISATION[option.format]
    gb = f"{fit.weights / 1e9:.1f} GB of weights a GPU"
    flags = [Flag(name="--tensor-parallel-size", value=str(option.gpus), reason=gb)]
    if method is not None:
        flags.append(Flag(name="--quantization", value=method, reason=reason))
    dtype = advice.machine.compute_name("fp16" if option.format == "fp16" else "bf16")
    name = {"bf16": "bfloat16", "fp16": "float16"}[dtype]
    flags += [
        Flag(name="--dtype", value=name, reason=f"products and activations in {dtype}"),
        Flag(
            name="--kv-cache-dtype",
            value=_KV_FLAGS[request.kv],
            reason=f"{fit.kv_per_sequence / 1e6:.0f} MB a sequence and GPU at {request.context} tokens",
        ),
        Flag(name="--max-model-len", value=str(request.context), reason="the context that was planned for"),
        Flag(
            name="--gpu-memory-utilization",
            value=f"{request.reserve.utilisation:g}",
            reason=f"{fit.usable / 1e9:.1f} GB for vLLM, {fit.sequences} sequences fit beside the weights",
        ),
        Flag(name="--max-num-seqs", value=str(option.batch or 1), reason=_batch_reason(advice, option)),
    ]
    return flags


def _batch_reason(advice: Advice, option: Option) -> str:
    target = advice.request.latency_s
    took = f"{option.decode.total.seconds * 1e3:.1f} ms a token" if option.decode else "not timed"
    return f"{took} at this batch" + (f", within {target * 1e3:g} ms" if target and option.batch else "")


def _warnings(advice: Advice, option: Option) -> list[str]:
    method, reason = _QUANTISATION[option.format]
    warnings = []
    if advice.request.kv in ("int8", "int4"):
        warnings.append(f"only a vLLM of 2026 has {_KV_FLAGS[advice.request.kv]}: `vllm serve --help` says")
    if method is None and option.format not in ("bf16", "fp16"):
        warnings.append(
            f"{option.format}: {reason}; {advice.model.repository or advice.model.id} itself is not one"
        )
    if option.format == "fp8-w8a16" and advice.machine.capability and advice.machine.capability < (8, 9):
        warnings.append(
            f"{advice.machine.name} has no fp8 instructions: fp8 is not supported as compute here"
        )
    if option.format == "fp8-w8a16" and advice.machine.capability and advice.machine.capability >= (8, 9):
        warnings.append("on this GPU --quantization fp8 computes in fp8 as well, i.e. it serves fp8-w8a8")
    if option.format == "int8-w8a8" and advice.machine.capability and advice.machine.capability >= (10, 0):
        warnings.append("vLLM refuses INT8 W8A8 from compute capability 10.0 on")
    return warnings + [f"this option falls: {reason}" for reason in option.reasons]


def _servable() -> str:
    return f"it serves {', '.join(_QUANTISATION)}"
