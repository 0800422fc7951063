"""What serving engines refuse: cuts of heads and of scale groups, and formats on some GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from quantroof.advisor.layers import Linear, linear_layers
from quantroof.advisor.models import Model
from quantroof.kernels.schemes import Scheme


@lru_cache(maxsize=1 << 12)
def cut_refused(model: Model, scheme: Scheme, gpus: int) -> str | None:
    """Why an engine does not divide a model among so many GPUs, or None."""
    return next(_refusals(model, scheme, gpus), None)


def _refusals(model: Model, scheme: Scheme, gpus: int) -> Iterator[str]:
    if model.heads % gpus:
        yield f"{model.heads} attention heads cannot be divided among {gpus} GPUs"
    if model.mla is None:
        for heads in {model.kv_heads, model.local_heads.kv_heads}:
            if heads % gpus and gpus % heads:  # vLLM: assert total_num_kv_heads % tp_size == 0
                yield f"{heads} KV heads cannot be divided among {gpus} GPUs"
    for layer in linear_layers(model):
        yield from _group_refusals(layer, scheme, gpus)


def _group_refusals(layer: Linear, scheme: Scheme, gpus: int) -> Iterator[str]:
    """A GPU holds whole groups of a GPTQ, AWQ or fp8-block checkpoint; mx and nv formats are padded."""
    weight = layer.kept(scheme).weight
    if weight.group is None or weight.element.name not in ("int4", "int8", "fp8_e4m3"):
        return
    size = weight.group
    if weight.granularity == "block" and size != scheme.weight.group:
        yield f"blocks of {scheme.weight.group} do not divide the K = {layer.k} of {layer.name}"
    if layer.cut == "k" and layer.k % (size * gpus):
        held = f"{layer.name} has {layer.k // size} groups of {size}"
        yield f"{held}, which {gpus} GPUs cannot share"
