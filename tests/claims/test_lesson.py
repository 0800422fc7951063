"""The lesson's list as a whole: every row has a verdict or what it needs, by the command."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from quantroof.analysis.answers import answers
from quantroof.claims.checklist import command_for, evidence_of, judge, rows, shipped
from quantroof.claims.claim import Evidence
from quantroof.cli.main import main
from quantroof.records.directory import Run
from tests.builders import LAYERS, cpu_device, gpu_device, info, measurement, run

# The checklist this project was given: letters with their rows.
_NUMBERED = {
    "A": 9, "B": 6, "C": 4, "D": 6, "E": 3, "F": 4, "G": 5, "H": 4, "I": 4, "J": 3, "K": 4, "L": 3, "M": 3,
    "N": 4, "O": 11, "P": 5,
}  # fmt: skip
ROWS = {f"{letter}{n}" for letter, last in _NUMBERED.items() for n in range(1, last + 1)}
ROWS |= {"Q1", "Q1b", "Q3", "Q4", "Q5", "Q6a", "Q6b", "Q6c", "Q6d", "Q6e"}
READ = shipped()
BY_NAME = {row.name: row for row in rows(judge(READ.claims, Evidence()))}


def test_every_row_of_the_checklist_is_there_and_no_other() -> None:
    """88 rows under 17 letters, each letter with its title."""
    assert set(BY_NAME) == ROWS
    assert len(ROWS) == 88
    assert {row[0] for row in ROWS} == set(READ.sections)


def test_every_row_has_evidence_and_a_command() -> None:
    """Nothing is judged without evidence; an open claim says what would decide it."""
    for row in BY_NAME.values():
        for result in row.results:
            assert all(result.evidence), result.claim.id
            assert command_for(result).startswith("quantroof ")
            if result.outcome == "cannot tell here":
                assert re.search(r"needs (the|a) |not measured|no source", result.evidence[0])


def test_outcomes_of_the_whole_lesson() -> None:
    """179 claims: a change of arithmetic, catalog or table that moves one is seen here."""
    outcomes = Counter(result.outcome for row in BY_NAME.values() for result in row.results)

    assert outcomes == {"holds": 94, "wrong": 60, "cannot tell here": 25}


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ("A1", "holds"), ("A2", "holds"), ("A4", "wrong"), ("A5", "wrong"), ("E1", "holds"),
        ("E2", "wrong"), ("G1", "in part"), ("G3", "wrong"), ("I1", "wrong"), ("O2", "wrong"),
        ("A7", "in part"), ("B5", "wrong"), ("D2", "holds"), ("G4", "wrong"), ("Q6c", "wrong"),
        ("P5", "in part"), ("Q1b", "in part"), ("Q3", "holds"), ("Q6a", "wrong"), ("C2", "open"),
        ("D4", "open"),
    ],
)  # fmt: skip
def test_verdicts_are_those_of_the_checked_list(row: str, verdict: str) -> None:
    """Rows that arithmetic, catalog or machine code decide, as the list's authors found them."""
    assert BY_NAME[row].verdict == verdict


@pytest.mark.parametrize(
    ("claim_id", "words"),
    [
        ("fp16-70b-gb", "141.1 GB"),
        ("two-a100-serve", "15 sequences"),
        ("2400-a-month", "1.644 $"),
        ("under-50-ms", "roofline 37.9 ms"),
        ("int8-70-gb", "72.7 GB"),
        ("nf4-35-gb", "42.7 GB"),
        ("int4-35-gb", "39.5 GB"),
        ("table-int4-ms", "17.17 ms"),
        ("helps-even-more", "1.00x"),
        ("kv-small-batch-long", "42.9 GB of cache"),
        ("batch-200-a100", "batch 153"),
        ("batch-200-int4", "batch 39"),
        ("two-int8-over-one-fp16", "3.92x"),
        ("kv-90-gb", "78.6 GB"),
        ("kv-45-gb", "32.8 GB"),
        ("int8-one-a100", "+2.9 GB left of 77 usable, 4 sequences of 2048; they reach 111 tokens/s"),
        ("int8-halves-cost", "116 are needed"),
        ("under-50-ms", "memory holds 15 such sequences"),
        ("half-size-half-cost", "memory holds 117 such sequences"),
        ("range-int8", "-128 to 127 in two's complement"),
        ("int8-everywhere", "vLLM refuses INT8 W8A8 from compute capability 10.0 on"),
    ],
)
def test_worked_numbers_of_the_list_are_reached(claim_id: str, words: str) -> None:
    """The advisor's arithmetic gives the figures that were worked out by hand for the list."""
    (found,) = (j for row in BY_NAME.values() for j in row.results if j.claim.id == claim_id)

    assert words in found.evidence[0]


def _timed(int4_ns: float, *, gpu: bool = True, profile: str = "a10g", simulated: bool = False) -> Run:
    device = msgspec.structs.replace(gpu_device(), profile_id=profile) if gpu else cpu_device()
    header = msgspec.structs.replace(info([device]), simulated=simulated)
    lines = [
        measurement(device, "bf16", 1, LAYERS[0], 40_000),
        measurement(device, "int4-w4a16", 1, LAYERS[0], int4_ns),
    ]
    return run(header, lines)


def _judged(given: Run, claim_id: str) -> tuple[str, str]:
    claims = [c for c in READ.claims if c.id == claim_id]
    (result,) = judge(claims, evidence_of(answers([given]).timed))
    return result.outcome, result.evidence[0]


def test_a_run_on_the_named_gpu_judges_a_speed_up() -> None:
    """3.7x is within 3.5 to 4, 2x is not; another GPU and a simulated one are not evidence."""
    assert _judged(_timed(10_800), "a10g-int4-decode")[0] == "holds"
    assert _judged(_timed(20_000), "a10g-int4-decode")[0] == "wrong"
    for other in (_timed(10_800, profile="a100-sxm4-80gb"), _timed(10_800, simulated=True)):
        outcome, evidence = _judged(other, "a10g-int4-decode")
        assert outcome == "cannot tell here"
        assert "needs a GPU" in evidence


def test_a_format_that_is_slower_anywhere_refutes_never_slower() -> None:
    """A CPU counts too; where nothing was slower the claim stays open, because no run proves "never"."""
    assert _judged(_timed(80_000, gpu=False), "never-slower")[0] == "wrong"
    assert _judged(_timed(10_000, gpu=False), "never-slower")[0] == "cannot tell here"


def test_command_prints_a_row_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong row ends with 1, a true one with 0, an unknown one with 2; JSON holds the command."""

    def ended(*words: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["claims", *words])
        output = capsys.readouterr()
        return end.value.code, output.out, output.err

    code, out, _ = ended("--only", "A4")
    assert code == 1
    assert out.startswith("A. A model too big to ship")
    assert "1 row: 0 true, 0 partly true, 1 false, 0 undecided" in out
    assert "roofline 37.9 ms" in out
    assert ended("--only", "A1")[0] == 0
    code, _, error = ended("--only", "Z9")
    assert (code, error.count("\n")) == (2, 1)
    code, out, _ = ended("--only", "D4", "--json")
    document = json.loads(out)
    assert document["results"][0]["command"].startswith("quantroof quality formats")
    assert document["rows"] == {"D4": "open"}
    assert code == 0


def test_command_judges_a_file_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kinds of every room are understood in one file."""
    file = tmp_path / "mine.toml"
    file.write_text(
        'title = "mine"\n[[claim]]\nid = "a"\ntext = "t"\nkind = "weights-gb"\nmodel = "llama-3.1-8b"\n'
        'format = "bf16"\nvalue = 16.06\n[[claim]]\nid = "b"\ntext = "u"\nkind = "stored-bits"\n'
        'format = "nf4.g64"\nvalue = 4.5\n'
    )
    with pytest.raises(SystemExit) as ended:
        main(["claims", str(file)])

    assert ended.value.code == 0
    assert "2 claims: 0 false" in capsys.readouterr().out


def test_the_whole_list_begins_with_a_short_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Counts per section in about 20 lines; `--wrong` lists what is false and nothing else."""
    printed = []
    for words in (["claims"], ["claims", "--wrong"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 1
        printed.append(capsys.readouterr().out.splitlines())
    head, wrong = printed

    assert len(head) <= 22
    assert head[-1].startswith("--wrong lists")
    assert sum(line.startswith("false ") for line in wrong) == 60
    assert not any(line.startswith("true ") for line in wrong)
