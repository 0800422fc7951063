"""Tables of a suite for operations beside the linear layer: `[[attention]]` and `[[experts]]`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated

import msgspec

from quantroof.errors import UsageError
from quantroof.kernels.attention.case import AttentionCase
from quantroof.kernels.cases import Case
from quantroof.kernels.experts.case import ExpertsCase
from quantroof.kernels.model_operations import attention_of, experts_of
from quantroof.kernels.schemes import cache_scheme, scheme

Positive = Annotated[int, msgspec.Meta(ge=1)]
Names = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
Sizes = Annotated[tuple[Positive, ...], msgspec.Meta(min_length=1)]


class AttentionSweep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The product of models, sequences, tokens per sequence and KV-cache formats."""

    models: Names
    batch: Sizes
    context: Sizes
    caches: Names = ("bf16-kv",)

    def cases(self, key: str) -> Iterator[Case]:
        """The cases; UsageError names the key of what is not understood."""
        shapes = [shape for name in self.models for shape in attention_of(name, f"{key}.models")]
        names = [cache_scheme(name, f"{key}.caches").name for name in self.caches]
        for shape, context, cache, batch in product(shapes, self.context, names, self.batch):
            yield AttentionCase.of(cache, shape, batch, context)


class ExpertsSweep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The product of expert layers, tokens, formats and routings."""

    layers: Names
    tokens: Sizes
    formats: Names
    routings: Names = ("uniform",)

    def cases(self, key: str) -> Iterator[Case]:
        """The cases; UsageError names the key of what is not understood or does not fit."""
        layers = [layer for name in self.layers for layer in experts_of(name, f"{key}.layers")]
        schemes = [scheme(name, f"{key}.formats") for name in self.formats]
        for layer, chosen, tokens, routing in product(layers, schemes, self.tokens, self.routings):
            try:
                yield ExpertsCase.of(chosen, tokens, layer, routing)
            except UsageError as error:
                raise UsageError(error.what, where=key, hint=error.hint) from None


class BesideLinear(msgspec.Struct, frozen=True):
    """Both kinds of tables of one processor, with the prefix of their keys."""

    prefix: str = ""
    attention: tuple[AttentionSweep, ...] = ()
    experts: tuple[ExpertsSweep, ...] = ()

    def cases(self, file: str) -> dict[str, Case]:
        """Distinct cases by id."""
        tables: dict[str, tuple[AttentionSweep | ExpertsSweep, ...]] = {
            "attention": self.attention,
            "experts": self.experts,
        }
        return {
            case.id: case
            for name, sweeps in tables.items()
            for number, sweep in enumerate(sweeps)
            for case in sweep.cases(f"{file}: {self.prefix}{name}[{number}]")
        }
