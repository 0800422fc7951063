"""Named linear layers of models: `llama-3.1-8b/gate_up` instead of bare numbers."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from quantroof.errors import unknown_name


class Layer(NamedTuple):
    """A linear layer: y[M, N] = x[M, K] w[N, K]^T."""

    name: str
    n: int
    k: int


@lru_cache(maxsize=1)
def layers() -> dict[str, Layer]:
    """Every named layer as `model/layer`."""
    table = tomllib.loads(files("quantroof.kernels").joinpath("layers.toml").read_text(encoding="utf-8"))
    return {
        f"{model}/{part}": Layer(f"{model}/{part}", shape["n"], shape["k"])
        for model, parts in table.items()
        for part, shape in parts.items()
    }


def find(pattern: str, where: str | None = None) -> list[Layer]:
    """Layers whose name matches a shell pattern such as `llama-3.1-8b/*`; UsageError if none does."""
    found = [layer for name, layer in layers().items() if fnmatchcase(name, pattern)]
    if not found:
        raise unknown_name("layer", pattern, list(layers()), where)
    return found
