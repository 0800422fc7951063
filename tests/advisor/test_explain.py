"""The account of an option ends for every model, GPU and format, and its formulas give its results."""

from __future__ import annotations

import itertools
import re
import time

import pytest

from quantroof.advisor.advice import Advice, AdviceOptions
from quantroof.advisor.choices import CHOICES
from quantroof.advisor.decision import advise
from quantroof.advisor.explain import explain
from quantroof.advisor.linear_time import Timer
from quantroof.advisor.machine import Machine, from_profile
from quantroof.advisor.model_lookup import catalog, model
from quantroof.advisor.models import Model
from quantroof.advisor.options import OptionEvaluator
from quantroof.advisor.timings import TimingTable
from quantroof.hwprofiles import catalog as boards
from tests.advisor.machines import H200

MACHINES = [from_profile(profile) for profile in boards.profiles().values()]
# GPUs that differ in what an option depends on: the elements they multiply, the capability and the link.
KINDS = list({(frozenset(m.matrix), m.capability, m.link and m.link.kind): m for m in MACHINES}.values())
MODELS = list(catalog().values())


def _explained(subject: Model, machine: Machine, name: str, gpus: int) -> str:
    """The result of the first line of an option's account."""
    asked = AdviceOptions(context=2048, formats=(name,), gpu_counts=(gpus,), max_batch=1)
    timer = Timer(machine, TimingTable(), asked.assumptions)
    evaluator = OptionEvaluator(subject, asked, timer, None, steady=False)
    option = evaluator.evaluate(name, gpus)
    answer = Advice(
        request=asked,
        model=subject,
        machine=machine,
        options=(option,),
        best=None,
        refusal=None,
        formats=(),
        curves=(),
    )
    return explain(answer, option)[0].what


def test_every_model_and_format_is_explained_on_every_kind_of_gpu() -> None:
    """Each format of each model on two kinds of GPU in turn, so that every kind meets every family."""
    for i, subject in enumerate(MODELS):
        for j, name in enumerate(CHOICES):
            for k, gpus in enumerate((1, 8)):
                machine = KINDS[(5 * i + 3 * j + 11 * k) % len(KINDS)]
                assert _explained(subject, machine, name, gpus) == "parameters", (subject.id, name)


@pytest.mark.long
def test_every_model_gpu_and_format_is_explained() -> None:
    """The whole product, each on one GPU or on eight in turn: some 126,000 accounts in a minute."""
    counts, started = itertools.cycle((1, 8)), time.process_time()
    for subject, machine, name in itertools.product(MODELS, MACHINES, CHOICES):
        first = _explained(subject, machine, name, next(counts))
        assert first == "parameters", (subject.id, machine.id, name)
    assert time.process_time() - started < 60


@pytest.mark.parametrize("name", ["gpt-oss-20b", "deepseek-v3", "qwen3.5-27b", "llama-3.1-70b"])
def test_the_weights_formula_gives_the_printed_result(name: str) -> None:
    """Also where projections are whole on every GPU, or a group is smaller than the format's."""
    asked = AdviceOptions(context=2048, formats=("int4-w4a16",), gpu_counts=(2,))
    advice = advise(model(name), H200, TimingTable(), asked, None)
    line = next(x for x in explain(advice, advice.options[0]) if x.what == "weights on each GPU")
    terms = re.findall(r"([\d.]+) GB", line.formula)

    assert sum(map(float, terms)) == pytest.approx(float(line.result.removesuffix(" GB")), abs=0.02)
