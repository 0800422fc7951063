"""The account of an option: it ends for every model and format, and its formulas give the printed results."""

from __future__ import annotations

import pytest

from quantroof.advisor.advice import AdviceOptions
from quantroof.advisor.choices import CHOICES
from quantroof.advisor.decision import advise
from quantroof.advisor.explain import explain
from quantroof.advisor.model_lookup import catalog, model
from quantroof.advisor.timings import TimingTable
from tests.advisor.machines import H200


@pytest.mark.parametrize("name", sorted(catalog()))
def test_every_format_of_a_model_is_explained(name: str) -> None:
    """Also where the format's group does not divide a layer: gpt-oss' hidden size 2880 is 45 x 64."""
    asked = AdviceOptions(context=2048, formats=tuple(CHOICES), gpu_counts=(1, 8))
    advice = advise(model(name), H200, TimingTable(), asked, None)

    for option in advice.options:
        assert explain(advice, option)[0].what == "parameters"
