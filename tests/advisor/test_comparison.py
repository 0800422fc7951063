"""Several GPUs in one table: the order, what is left out, and how wrong questions are answered."""

from __future__ import annotations

import pytest

from quantroof.advisor.advice import AdviceOptions
from quantroof.advisor.comparison import compare
from quantroof.advisor.cost import read_prices
from quantroof.advisor.model_lookup import model
from quantroof.advisor.sources import machines_named
from quantroof.cli.main import main
from quantroof.hwprofiles import catalog

ASKED = AdviceOptions(context=4096, kv_choices=("fp16", "fp8"))
LLAMA = model("llama-3.1-8b")


def test_gpus_are_ordered_by_price_then_by_speed() -> None:
    """Those with a price come first, the cheapest tokens first; those that hold nothing come last."""
    machines = machines_named("l4,h100-sxm5-80gb,a100-sxm4-80gb,l40s,rtx-3070")
    rows = compare(model("llama-3.1-70b"), machines, AdviceOptions(context=4096), read_prices("examples"))
    costs = [row.option.usd_per_million_tokens if row.option else None for row in rows]
    priced = [cost for cost in costs if cost is not None]

    assert priced == sorted(priced)
    assert len(priced) > 1
    assert costs[: len(priced)] == priced
    speeds = [row.tokens_per_gpu for row in rows[len(priced) :]]
    assert speeds == sorted(speeds, reverse=True)


def test_every_gpu_is_compared() -> None:
    """`all` is the whole catalog; each has an option or the reason why it has none."""
    rows = compare(LLAMA, machines_named("all"), ASKED, {})

    assert {row.gpu for row in rows} == set(catalog.profiles())
    assert all((row.option is None) != (row.reason is None) for row in rows)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--gpu", "l4,l41"), "unknown GPU 'l41'"),
        (("--gpu", "l4,l40s", "--price", "2"), "--price is the price of one GPU"),
        (("--gpu", "all", "--context", "1M"), "1048576 tokens is beyond the 131072"),
    ],
)
def test_a_wrong_comparison_is_one_line(
    words: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, with exit code 2."""
    with pytest.raises(SystemExit) as end:
        main(["advise", "--model", "llama-3.1-8b", *words])

    error = capsys.readouterr().err
    assert end.value.code == 2
    assert line in error
    assert error.count("\n") == 1


def test_the_table_names_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A GPU on which the model does not fit is listed below, with the reason."""
    with pytest.raises(SystemExit):
        main(["advise", "--model", "llama-3.1-70b", "--gpu", "h200-sxm,rtx-3070", "--gpus", "1"])

    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("h200-sxm") for line in lines)
    assert "misses: the weights do not fit (rtx-3070)" in lines
