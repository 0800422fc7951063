"""OpenMetrics text: what it holds, that Prometheus' parser reads it, and that hostile names stay labels."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from prometheus_client.openmetrics import parser

from quantroof.cli.main import main
from quantroof.fleet.analysis import analyze
from quantroof.fleet.gather import gather
from quantroof.fleet.policy import Policy
from quantroof.hwprofiles.types import Device
from quantroof.reports.exports.openmetrics import openmetrics, write
from tests.fleet.runs import node_run, stored

HOSTILE = 'H100 "80\\GB"\n# EOF'
Sample = tuple[str, dict[str, str], float]


def parsed(text: str) -> list[Sample]:
    """Samples by the parser of Prometheus' own client, which is strict; every family is a gauge with help."""
    families = list(parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation for family in families)
    return [(one.name, one.labels, one.value) for family in families for one in family.samples]


def slow(device: Device, _node: str) -> tuple[float, float]:
    """One GPU 15 % slow in compute."""
    return (1.0, 0.85) if device.index == 2 else (1.0, 1.0)


def test_a_node_round_trips(tmp_path: Path) -> None:
    """Every GPU has a state, a score and a floor per class, and a start; the slow one is below its floor."""
    analysis = analyze(gather(stored(tmp_path, [node_run("node-0", slow)])), Policy())
    samples = parsed(openmetrics(analysis))
    states = {s[1]["gpu"]: s[1]["state"] for s in samples if s[0].endswith("_verdict") and s[2] == 1}
    scores = {s[1]["gpu"]: s[2] for s in samples if s[0].endswith("_score") and s[1]["class"] == "compute"}
    floors = {s[2] for s in samples if s[0].endswith("_floor") and s[1]["class"] == "compute"}

    assert states == {f"cuda:{n}": "degraded" if n == 2 else "ok" for n in range(8)}
    assert scores["cuda:2"] == pytest.approx(0.85, abs=0.03)
    assert scores["cuda:2"] < min(floors)
    assert sum(name.endswith("_seconds") for name, _, _ in samples) == 8
    assert {labels["simulated"] for _, labels, _ in samples} == {"true"}
    assert len({(name, *sorted(labels.items())) for name, labels, _ in samples}) == len(samples)


def test_hostile_names_stay_labels(tmp_path: Path) -> None:
    """A model with quotes, a backslash, a line break and the end's mark comes back as it was."""
    run = node_run("node-0", change=lambda device: msgspec.structs.replace(device, name=HOSTILE))
    analysis = analyze(gather(stored(tmp_path, [run])), Policy())

    assert {labels["model"] for _, labels, _ in parsed(openmetrics(analysis))} == {HOSTILE}


def test_the_file_is_replaced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves the old file and nothing beside it."""
    analysis = analyze(gather(stored(tmp_path / "runs", [node_run("node-0")])), Policy())
    target = tmp_path / "quantroof.prom"
    target.write_text("old")

    def full(_self: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space"):
            write(analysis, target)

    assert target.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["quantroof.prom", "runs"]


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    """`export --to openmetrics` writes what a collector reads."""
    names = stored(tmp_path / "runs", [node_run("node-0")])
    target = tmp_path / "quantroof.prom"
    with pytest.raises(SystemExit) as ended:
        main(["export", *names, "--to", "openmetrics", "--out", str(target)])

    assert ended.value.code == 0
    assert len(parsed(target.read_text(encoding="utf-8"))) > 8 * 6
