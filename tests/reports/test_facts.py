"""The facts of a set-up in words."""

from __future__ import annotations

from msgspec.structs import replace

from quantroof.records.run import Host
from quantroof.reports.facts import run_facts
from tests.runs import gpu_run


def test_numbers_of_a_set_up_have_their_unit() -> None:
    """A time limit is followed by its unit and a count by what is counted; what is unknown is left out."""
    made = gpu_run()
    options = replace(made.info.options, case_timeout_s=90.0)
    made.info = replace(made.info, options=options, host=Host(name="node-17", machine="x86_64", cpus=2))
    facts = dict(run_facts(made))

    assert facts["node"] == "node-17, x86_64, 2 CPUs"
    assert "case timeout 90 s" in facts["settings"].split(", ")
