"""`export --to node-verdict`: nodes in the shape of Health Validation's NodeVerdict."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from quantroof.finding import Finding, Level
from quantroof.fleet.analysis import Analysis, analyze
from quantroof.fleet.gather import gather
from quantroof.fleet.policy import Policy
from quantroof.hwprofiles.types import Device
from quantroof.reports.exports.node_verdict import NodeVerdict, Severity, node_verdicts
from tests.commands import call
from tests.fleet.runs import node_run, stored

SEVERITIES: dict[Level, Severity] = {
    "ok": "PASS",
    "note": "INFO",
    "warning": "WARNING",
    "degraded": "CRITICAL",
    "failed": "CRITICAL",
    "unknown": "UNKNOWN",
}


def slow(device: Device, node: str) -> tuple[float, float]:
    """One GPU of one node 15 % slow in compute."""
    return (1.0, 0.85) if device.index == 2 and node == "node-1" else (1.0, 1.0)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Two nodes, of which the second has a slow GPU."""
    folder = tmp_path_factory.mktemp("runs")
    return analyze(gather(stored(folder, [node_run(f"node-{n}", slow) for n in range(2)])), Policy())


def test_the_slow_gpu_is_a_critical_component_of_its_node(analysis: Analysis) -> None:
    """The worst node first, with category, check and GPU; the sound node passes and lists nothing."""
    bad, sound = node_verdicts(analysis)
    component = next(one for one in bad.affected_components if one.category == "compute")

    assert (bad.node, bad.overall_severity) == ("node-1", "CRITICAL")
    assert component.max_severity == "CRITICAL"
    assert [entity["id"] for entity in component.entities] == ["cuda:2"]
    assert all(name.startswith("quantroof.compute") for name in component.check_ids)
    assert (sound.node, sound.overall_severity, sound.affected_components) == ("node-0", "PASS", [])
    assert bad.simulated


@pytest.mark.parametrize("level", get_args(Level))
def test_every_level_has_a_severity(level: Level, analysis: Analysis) -> None:
    """What quantroof would drain is critical, since Health Validation lets warnings pass."""
    sound = next(gpu for gpu in analysis.gpus if gpu.unit.node == "node-0")
    gpu = dataclasses.replace(sound, findings=(Finding(level, "odd", 'a "text"\n'),))
    (verdict,) = node_verdicts(dataclasses.replace(analysis, gpus=[gpu]))

    assert verdict.overall_severity == SEVERITIES[level]
    assert [one.max_severity for one in verdict.affected_components] == [SEVERITIES[level]]
    assert verdict.affected_components[0].messages == [f'{sound.unit.device.id}: a "text"\n']


def test_the_command_writes_a_document_of_that_shape(tmp_path: Path) -> None:
    """The file decodes into the typed shape, and has no field besides."""
    target = tmp_path / "verdict.json"
    names = stored(tmp_path / "runs", [node_run("node-0")])

    assert call("export", *names, "--to", "node-verdict", "--out", target) == 0
    document = json.loads(target.read_text())
    assert set(document) == {"node_verdicts"}
    assert [one.node for one in msgspec.convert(document["node_verdicts"], list[NodeVerdict])] == ["node-0"]
