"""What to know about a format on a GPU before relying on its figures."""

from __future__ import annotations

from quantroof.advisor.choices import weight_only
from quantroof.advisor.machine import Machine
from quantroof.advisor.models import Model
from quantroof.advisor.step import Step
from quantroof.kernels.schemes import Scheme

INT8_REFUSED = "vLLM refuses INT8 W8A8 from compute capability 10.0 on"
NF4_SLOW = "bitsandbytes took 2.2 times its roofline at batch 1 and 8.9 times at batch 2 (vllm#22780)"
# What one NVLink or PCIe domain of the listed boards holds.
NODE_GPUS = 8


def cannot_run(scheme: Scheme, machine: Machine) -> str | None:
    """Why a scheme has no kernel worth the name on a machine, or None."""
    if scheme.name.startswith("int8-w8a8") and machine.int8_refused:
        return INT8_REFUSED
    element = scheme.compute.name
    if machine.rate(element) is not None:
        return None
    have = (
        f"compute capability {machine.capability[0]}.{machine.capability[1]}"
        if machine.capability
        else ("no compute capability of NVIDIA's" if machine.is_gpu else "this CPU")
    )
    if element.startswith("fp8") and machine.is_gpu and machine.multiplies_fp8 is False:
        return f"no fp8 matrix instructions before 8.9 ({have}): fp8 would save bytes only, see fp8-w8a16"
    return f"no {element} matrix rate is known or measured for {machine.name} ({have})"


def caveats(
    scheme: Scheme, machine: Machine, model: Model, decode: Step, *, batch: int, gpus: int
) -> tuple[str, ...]:
    """Sentences about one option, most important first."""
    sentences = []
    computes = machine.compute_name(scheme.compute.name)
    if weight_only(scheme):
        stored = scheme.weight.element.name
        sentences.append(f"{stored} weights are multiplied in {computes}: fewer bytes, the same operations")
    if scheme.name == "fp8-w8a16" and machine.multiplies_fp8:
        sentences.append("this GPU has fp8 instructions: fp8-w8a8 uses them")
    if scheme.weight.element.name == "nf4":
        sentences.append(NF4_SLOW)
    if computes != scheme.compute.name:
        sentences.append(
            f"no {scheme.compute.name} matrix units: served in {computes}, with its smaller range"
        )
    sentences.extend(_balance(decode, batch))
    if gpus > NODE_GPUS:
        sentences.append(
            f"{gpus} GPUs are more than one node; links between nodes are slower than modeled here"
        )
    if scheme.weight.element.bits <= 8:
        sentences.append("its cost in quality is not shown here: measure it on your own text")
    if model.moe is not None:
        sentences.append("experts are modeled with uniform routing; skewed routing reads fewer of them")
    return tuple(sentences)


def _balance(decode: Step, batch: int) -> list[str]:
    linear, attention = decode.part("linear").seconds, decode.part("attention").seconds
    reduce = decode.part("all-reduce").seconds
    sentences = []
    if attention > linear:
        sentences.append(
            f"the KV cache dominates at batch {batch}: a smaller cache format helps more than weights"
        )
    if reduce > 0.25 * decode.total.seconds:
        share = reduce / decode.total.seconds
        sentences.append(f"all-reduces take {share:.0%} of the step: the link bounds it, not the format")
    return sentences
