"""`doctor --links` and `--bits`, also in a burn-in and a fleet, by the real commands on simulated nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quantroof.analysis.answers import answers
from quantroof.analysis.device_results import device_results
from quantroof.analysis.health import judge_health
from quantroof.cli.main import main
from quantroof.finding import Finding
from quantroof.fleet.analysis import analyze
from quantroof.fleet.beside import confirmed_unit
from quantroof.fleet.collection import Unit, population_of
from quantroof.fleet.gather import gather
from quantroof.fleet.policy import Policy
from quantroof.hwprofiles.detect import detect
from quantroof.hwprofiles.select import select
from quantroof.records.directory import read_run
from quantroof.reports.html.page import html

NODE = "sim:h100-sxm5-80gb*4"


def links(
    folder: Path, device: str, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[object, dict[str, Any]]:
    """Exit code and document of one check."""
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "doctor",
                *(options or ("--links",)),
                "--device",
                device,
                "--out",
                str(folder),
                "--json",
                "--quiet",
            ]
        )
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return ended.value.code, document


@pytest.mark.parametrize(
    ("fault", "code", "verdict", "reason"),
    [
        pytest.param("", 0, "ok", None, marks=pytest.mark.long),
        (
            "+link@2",
            1,
            "degraded",
            "#2: copies with its peers: 191 GB/s, 50 % of the others', measured",
        ),
        (
            "+nolink@2",
            1,
            "failed",
            "all-reduce: no answer within 120 s: killed (injected fault); 3 more",
        ),
    ],
)
def test_links_alone_make_a_verdict(
    fault: str,
    code: int,
    verdict: str,
    reason: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A sound node, a GPU with half its links, and collectives that do not answer; what was not tested is
    named."""
    left, found = links(tmp_path, NODE + fault, capsys)

    assert (left, found["verdict"], found["simulated"]) == (code, verdict, True)
    assert found["not_tested"] == ["memory", "matrix units", "repeated exact products", "NICs", "storage"]
    assert (found["reason"] is None) == (reason is None)
    assert (reason or "") in (found["reason"] or "")
    assert len(found["links"]["pairs"]) == 12


def test_a_cpu_has_no_link_to_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was measured, so nothing is called ok: unknown with a reason, exit code 4."""
    left, found = links(tmp_path, "cpu", capsys)

    assert (left, found["verdict"], found["reason"]) == (4, "unknown", "cpu:0: no link of it was measured")


@pytest.mark.long
def test_a_burn_in_and_a_fleet_judge_links(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The slow GPU is degraded for its links in the burn-in and in the analysis of its runs."""
    code, found = links(tmp_path, f"{NODE}+link@1", capsys, "--burn-in")
    bad = {gpu.unit.device.id for gpu in analyze(gather([str(tmp_path)]), Policy()).bad}

    assert (code, found["verdict"], found["not_tested"]) == (
        1,
        "degraded",
        ["repeated exact products", "NICs", "storage"],
    )
    assert found["gpus"][0]["reasons"][0]["code"] == "link_slow"
    assert bad == {"sim:h100-sxm5-80gb#1"}


def test_links_take_no_option_of_a_burn_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage, in one line that says what belongs together."""
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--links", "--minutes", "5", "--out", str(tmp_path)])

    assert ended.value.code == 2
    assert "--links and --bits take --device" in capsys.readouterr().err


def test_a_flipped_bit_fails_the_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The GPU is named with tile, clock and temperature; the rest of the node was not tested."""
    code, found = links(tmp_path, f"{NODE}+bits@3", capsys, "--bits")
    worst = found["gpus"][0]

    assert (code, found["verdict"], worst["device"]) == (1, "failed", "sim:h100-sxm5-80gb#3")
    assert worst["reasons"][0]["code"] == "bits"
    assert "first in tile (10, 5) at (1300, 700) on SM 17" in found["reason"]
    assert found["not_tested"] == ["memory", "matrix units", "links between GPUs", "NICs", "storage"]


@pytest.mark.long
def test_a_soak_repeats_exact_products(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --minutes the burn-in compares bits; without it says that it did not."""
    code, found = links(tmp_path, f"{NODE}+bits@3", capsys, "--burn-in", "--minutes", "0.01")

    assert (code, found["verdict"], found["not_tested"]) == (1, "failed", ["NICs", "storage"])
    assert found["gpus"][0]["reasons"][0]["code"] == "bits"


def test_bits_and_links_are_no_options_of_a_burn_in(capsys: pytest.CaptureFixture[str]) -> None:
    """Both are measured by it: usage, in one line."""
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--burn-in", "--bits"])

    assert ended.value.code == 2
    assert "--burn-in measures links" in capsys.readouterr().err


def test_a_report_shows_links_and_judges_by_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page of a run has the tables, and its health names the GPU with slow links."""
    links(tmp_path, f"{NODE}+link@2", capsys)
    (first, _) = sorted(tmp_path.iterdir())
    run = read_run(first)
    written = html(answers([run]))
    health = judge_health(device_results([run]))

    assert "Links: collectives over 4 GPUs; NVLink 4 carries 450 GB/s" in written
    assert health.verdict.state == "degraded"
    assert "copies with its peers" in (health.verdict.reason or "")


def test_a_link_that_is_slow_once_is_a_note() -> None:
    """What the second measurement shows as well stays; what failed is not excused."""
    (device,) = select(detect(), ["sim:h100-sxm5-80gb"])
    population = population_of(device, "node", "burst", "cold", simulated=True)
    slow, broken = Finding("degraded", "link_slow", "slow"), Finding("failed", "link_failed", "no answer")
    first = Unit("a", "", "n", device, population, beside=(slow, broken), links_measured=True)
    well = Unit("b", "", "n", device, population, links_measured=True)

    assert [f.code for f in confirmed_unit(first, well).beside] == ["link_failed", "link_cleared"]
    assert confirmed_unit(first, first).beside[0].text == "slow, measured again"
    assert confirmed_unit(first, None) == first
