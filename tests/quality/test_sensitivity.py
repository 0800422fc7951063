"""The sensitivity scan and the mixture it suggests."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch

from quantroof.errors import UsageError
from quantroof.quality.lm.cache import SmallModel
from quantroof.quality.mixed import Choice, rank_stability, suggest
from quantroof.quality.sensitivity import parts_of, rounded
from quantroof.records.quality import QualityResult, QualityStudy
from tests.quality.studies import HEADER

Run = Callable[..., tuple[int, str, str]]


class _Tied(torch.nn.Module):
    """An embedding whose weight is the head's, and a layer between them."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(64, 128)
        self.middle = torch.nn.Linear(128, 128, bias=False)
        self.head = torch.nn.Linear(128, 64, bias=False)
        self.head.weight = self.embedding.weight


def test_tied_weights_are_one_part() -> None:
    """Quantizing a tied head changes the embedding too, and the part says so."""
    assert [part.name for part in parts_of(_Tied())] == ["embedding = head", "middle"]


class _Routed(torch.nn.Module):
    """Experts as transformers 5 keeps them: one parameter with a matrix per expert."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = torch.nn.ParameterDict({"down_proj": torch.nn.Parameter(torch.randn(3, 64, 128))})


def test_the_experts_of_a_layer_are_one_part() -> None:
    """They are most of such a model's weights; each expert is quantized, and restored."""
    model = _Routed()
    experts = model.experts["down_proj"]
    before = experts.detach().clone()

    (part,) = parts_of(model)

    assert (part.name, part.elements) == ("experts.down_proj", 3 * 64 * 128)
    with rounded({part.name: "int4.g128"}, [part]):
        assert all(len(row.unique()) <= 15 for expert in experts for row in expert)
    assert torch.equal(experts, before)


def test_a_part_is_restored_bit_for_bit() -> None:
    """Inside the block the weight is on its grid, after it unchanged, even after an error."""
    model = _Tied()
    before = model.middle.weight.detach().clone()

    def fail_inside() -> None:
        with rounded({"middle": "int4.g128"}, parts_of(model)):
            assert not torch.equal(model.middle.weight, before)
            assert all(len(row.unique()) <= 15 for row in model.middle.weight)
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert torch.equal(model.middle.weight, before)


def test_the_suggestion_is_near_the_best_of_all_mixtures() -> None:
    """Within a tenth of the best of every mixture of four equal parts, at every budget."""
    losses = {"a": (0.4, 0.02), "b": (0.1, 0.01), "c": (0.3, 0.1), "d": (0.001, 0.0)}
    choices = {
        part: [Choice(None, 16.0, 0.0), Choice("int4", 4.0, four), Choice("int8", 8.0, eight)]
        for part, (four, eight) in losses.items()
    }
    elements = dict.fromkeys(losses, 100)
    for budget in (4.0, 5.0, 6.0, 8.0):
        found = suggest(choices, elements, budget)
        affordable = [
            sum(c.loss for c in mixture)
            for mixture in product(*choices.values())
            if sum(c.bits for c in mixture) <= budget * 4
        ]

        assert found.bits <= budget
        assert min(affordable) <= found.predicted_loss + 1e-12
        assert found.predicted_loss <= 1.1 * min(affordable)


def test_a_budget_below_the_fewest_bits_is_refused() -> None:
    """Three bits cannot be had of parts that take four."""
    with pytest.raises(UsageError, match="below the fewest possible, 4"):
        suggest({"a": [Choice("int4", 4.0, 0.1)]}, {"a": 10}, 3.0)


@pytest.mark.parametrize(("noise", "low", "high"), [(0.0, 1.0, 1.0), (10.0, -0.9, 0.9)])
def test_a_ranking_is_stable_where_halves_of_the_text_agree(noise: float, low: float, high: float) -> None:
    """Parts of clearly different loss rank alike in even and odd windows; drowned in noise they do not."""
    source = random.Random(1)
    study = QualityStudy(HEADER)
    for part in range(20):
        windows = tuple(3 + part / 10 + noise * source.random() for _ in range(16))
        study.results.append(
            QualityResult(
                variant="base",
                method="int4",
                part=f"p{part}",
                weights="0",
                status="ok",
                window_losses=windows,
            )
        )

    found = rank_stability(study, "int4")

    assert found is not None
    assert low <= round(found, 6) <= high
    assert rank_stability(study, "int8") is None


def test_every_matrix_is_scanned_and_the_mixture_measured(
    trained: SmallModel, tmp_path: Path, run_command: Run
) -> None:
    """Head and embedding included; a scan that was cut off goes on where it stopped."""
    out = tmp_path / "scan.jsonl"
    base = ("sensitivity", trained.checkpoint, "--window", 64, "--windows", 16, "--out", out)

    run_command(*base, "--formats", "int4.g128", "--json")
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:8]) + lines[8][:20])
    code, text, progress = run_command(*base, "--formats", "int4.g128", "--resume", "--budget", 6, "--json")

    document = json.loads(text)
    parts = {r["part"] for r in document["results"] if r["part"]}
    measured = {r["format"]: r["difference"]["mean"] for r in document["results"] if r["part"] is None}
    assert code == 0
    assert len(progress.splitlines()) == 2 * 7 + 2 + 1 - 7
    assert parts >= {"lm_head", "model.embed_tokens", "model.layers.1.mlp.down_proj"}
    assert document["mixture"]["bits"] <= 6
    assert measured["none"] == 0
    assert measured["mixture of 6 bits"] < measured["all int4.g128"]
