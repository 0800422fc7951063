"""The command that serves an option, with the reason for each flag, or why an engine would refuse it.

The flags are in the documentation of vLLM ("Engine Arguments", "Quantization"), in SGLang's `server_args.py`
and in TensorRT-LLM's `commands/serve.py`. vLLM and SGLang make fp8 and nf4 weights from a 16-bit checkpoint
while they load it; other formats need a checkpoint of their own. One that is stored quantized is served as it
is.
"""

from __future__ import annotations

import shlex

import msgspec

from quantroof.advisor.advice import Advice, Option
from quantroof.advisor.choices import choice

# Formats that vLLM and SGLang make on load, with the value of `--quantization`.
ON_LOAD = {"fp8-w8a8": "fp8", "fp8-w8a16": "fp8", "nf4-w4a16": "bitsandbytes"}


class EngineOption(msgspec.Struct, frozen=True, kw_only=True):
    """One command-line option of the engine, with its value and the reason for it."""

    name: str
    value: str
    reason: str


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """A command line and what it cannot do; with a `refusal` the engine would not serve this."""

    engine: str
    model: str
    start: tuple[str, ...] = ()
    options: tuple[EngineOption, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str | None = None

    @property
    def command(self) -> str:
        """The command, quoted for a shell; empty if the engine would refuse it."""
        if self.refusal is not None:
            return ""
        words = [*self.start, self.model]
        for option in self.options:
            words += [option.name, option.value]
        return shlex.join(words)


def quantization(advice: Advice, option: Option) -> EngineOption | None:
    """`--quantization` where the engine makes the format from a 16-bit checkpoint on load."""
    stored = advice.model.native_format or option.format in dict(advice.model.checkpoints).values()
    if stored or option.format not in ON_LOAD:
        return None
    reason = {
        "fp8-w8a8": "quantized on load, one scale per matrix; activations are scaled as they come",
        "fp8-w8a16": "without fp8 instructions fp8 is storage only (Marlin kernels)",
        "nf4-w4a16": "quantized on load to nf4 in blocks of 64",
    }[option.format]
    return EngineOption(name="--quantization", value=ON_LOAD[option.format], reason=reason)


def weights_reason(option: Option) -> str:
    """What tensor parallelism leaves on each GPU."""
    return f"{option.memory.weights / 1e9:.1f} GB of weights per GPU"


def cache_reason(advice: Advice, option: Option) -> str:
    """What a sequence takes of the cache."""
    size = option.memory.kv_per_sequence / 1e6
    return f"{size:.0f} MB per sequence and GPU at {advice.request.context} tokens"


def batch_reason(advice: Advice, option: Option) -> str:
    """The time per token at the planned batch."""
    target = advice.request.latency_s
    took = f"{option.decode.total.seconds * 1e3:.1f} ms per token" if option.decode else "not timed"
    return f"{took} at this batch" + (f", within {target * 1e3:g} ms" if target and option.batch else "")


def warnings(advice: Advice, option: Option) -> list[str]:
    """What every engine's user must know about an option."""
    found = [f"this option is rejected: {reason}" for reason in option.reasons]
    if option.format == "fp8-w8a16" and advice.machine.multiplies_fp8 is False:
        found.append(f"{advice.machine.name} has no fp8 instructions: fp8 is not supported as compute here")
    if option.format == "fp8-w8a16" and advice.machine.multiplies_fp8:
        found.append("on this GPU --quantization fp8 computes in fp8 as well, so it serves fp8-w8a8")
    return found


def dtype(advice: Advice, option: Option) -> str:
    """What products and activations run in, as `--dtype` names it."""
    wide = "fp16" if option.format == "fp16" else "bf16"
    computed = advice.machine.compute_name(wide)
    assert choice(computed).weight.element.bits == 16, "engines serve in 16 bit"
    return {"bf16": "bfloat16", "fp16": "float16"}[computed]
