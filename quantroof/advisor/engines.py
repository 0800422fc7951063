"""Serving engines: the command that each would accept for an option, from the right checkpoint."""

from __future__ import annotations

from collections.abc import Callable

from quantroof.advisor import launch_sglang, launch_trtllm, launch_vllm
from quantroof.advisor.advice import Advice, Option
from quantroof.advisor.launch import ON_LOAD, Launch
from quantroof.advisor.proposals import served_as
from quantroof.errors import UsageError, unknown_name

_WIDE = ("bf16", "fp16")
_CHECKPOINTS = {
    "int8-w8a8": "a compressed-tensors W8A8 checkpoint",
    "int8-w8a16": "a compressed-tensors or GPTQ W8A16 checkpoint",
    "int4-w4a16": "a GPTQ or AWQ checkpoint in groups of 128",
    "int4-zp-w4a16": "an AWQ checkpoint in groups of 128",
    "int4-actorder-w4a16": "a GPTQ checkpoint with an activation order",
    "fp8-w8a8-static": "an FP8 checkpoint with static scales (ModelOpt)",
    "fp8-block-w8a8": "an FP8 checkpoint with blocks of 128 x 128",
    "nvfp4-w4a4": "an NVFP4 checkpoint (ModelOpt or compressed-tensors)",
    "nvfp4-w4a16": "an NVFP4 checkpoint (ModelOpt or compressed-tensors)",
    "mxfp4-w4a16": "an MXFP4 checkpoint",
}

Engine = Callable[[Advice, Option, str], Launch]


def launch_of(engine: str, advice: Advice, option: Option) -> Launch:
    """The command of an engine for an option. UsageError for an unknown engine."""
    engines: dict[str, Engine] = {
        "vllm": launch_vllm.launch, "sglang": launch_sglang.launch, "trtllm": launch_trtllm.launch,
    }  # fmt: skip
    if engine not in engines:
        raise unknown_name("engine", engine, list(engines), "--emit")
    try:
        return engines[engine](advice, option, _checkpoint(advice, option))
    except UsageError as error:
        name = advice.model.repository or advice.model.id
        return Launch(engine=engine, model=name, refusal=str(error))


def _checkpoint(advice: Advice, option: Option) -> str:
    """The repository that holds this format. UsageError says which checkpoint is missing."""
    model, machine = advice.model, advice.machine
    repository = model.repository or model.id
    if option.decode is None:
        raise UsageError(option.reasons[0])
    for name, stored in ((repository, model.native_format), *model.checkpoints):
        if stored is not None and option.format in (stored, served_as(stored, machine)):
            return name
    if model.native_format is not None:
        raise UsageError(
            f"{repository} is stored as {model.native_format}, and engines refuse to serve it otherwise"
        )
    if option.format in _WIDE or option.format in ON_LOAD:
        return repository
    needed = _CHECKPOINTS.get(option.format)
    if needed is None:
        raise UsageError(f"no engine serves {option.format}", where="--emit", hint="--formats names others")
    raise UsageError(
        f"{option.format} needs {needed}, and {repository} is not one", hint="name the copy with --model"
    )
