"""Which weights need more bits: one matrix at a time in few bits, all others unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from quantroof.errors import UsageError
from quantroof.kernels.formats import Format
from quantroof.kernels.quantize import quantize
from quantroof.quality.memory.counted import is_expert_stack
from quantroof.quality.study import StudySubject
from quantroof.quality.windows import window_losses
from quantroof.records.quality import BASELINE, QualityResult

FORMATS = ("int4.g128", "int8.channel")
VARIANT = "base"


@dataclass(frozen=True, slots=True)
class Part:
    """One weight matrix, by the names of every module that uses it: tied weights are one part.

    The routed experts of a layer are one part as well, with a matrix per expert.
    """

    name: str
    weight: torch.nn.Parameter

    @property
    def elements(self) -> int:
        """Number of weights."""
        return self.weight.numel()

    def format_for(self, text: str) -> Format:
        """The format asked for, with one group per row where its group does not divide the columns."""
        fmt = Format.parse(text)
        columns = self.weight.shape[-1]
        return fmt.with_group(columns) if fmt.group and columns % fmt.group else fmt


def parts_of(model: torch.nn.Module) -> list[Part]:
    """Every linear layer, stack of experts and embedding, the head included; tied ones once."""
    names: dict[int, list[str]] = {}
    weights: dict[int, torch.nn.Parameter] = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Embedding):
            weight = module.get_parameter("weight")
            names.setdefault(id(weight), []).append(name)
            weights[id(weight)] = weight
    for name, weight in model.named_parameters():
        if is_expert_stack(name, weight):
            names[id(weight)], weights[id(weight)] = [name], weight
    return [Part(" = ".join(modules), weights[key]) for key, modules in names.items()]


def scan(
    subject: StudySubject,
    model: torch.nn.Module,
    formats: Sequence[str] = FORMATS,
    done: frozenset[tuple[str, str, str | None]] = frozenset(),
) -> Iterator[QualityResult]:
    """Yield the baseline, then a result per part and format that is not `done`.

    Weights are quantized alone, activations stay as they are; the weight is restored bit for bit.
    """
    digest = subject.checkpoint.weights_digest()
    if (VARIANT, BASELINE, None) not in done:
        yield _result(subject, model, digest, BASELINE, None)
    for part in parts_of(model):
        for text in formats:
            if (VARIANT, text, part.name) not in done:
                with rounded({part.name: text}, [part]):
                    yield _result(subject, model, digest, text, part.name)


@contextmanager
def rounded(choice: Mapping[str, str], parts: Sequence[Part]) -> Iterator[None]:
    """Keep the parts of `choice` in their formats while the block runs."""
    originals = {part.name: part.weight.data.clone() for part in parts if part.name in choice}
    try:
        for part in parts:
            if part.name in choice:
                rows = part.weight.data.float().flatten(end_dim=-2)
                values = quantize(rows, part.format_for(choice[part.name])).dequantized(torch.float32)
                part.weight.data.copy_(values.view_as(part.weight))
        yield
    finally:
        for part in parts:
            if part.name in originals:
                part.weight.data.copy_(originals[part.name])


def measure_mixture(
    subject: StudySubject, model: torch.nn.Module, choice: Mapping[str, str], name: str
) -> QualityResult:
    """All parts of `choice` in their formats at once. UsageError for a part that the model does not have."""
    parts = parts_of(model)
    if unknown := set(choice) - {part.name for part in parts}:
        raise UsageError(f"the model has no part {min(unknown)}")
    with rounded(choice, parts):
        return _result(subject, model, subject.checkpoint.weights_digest(), name, None)


def _result(
    subject: StudySubject, model: torch.nn.Module, weights: str, method: str, part: str | None
) -> QualityResult:
    return QualityResult(
        variant=VARIANT,
        method=method,
        weights=weights,
        status="ok",
        part=part,
        window_losses=window_losses(model, subject.evaluation),
    )
