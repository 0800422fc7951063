"""The order of findings, a lone GPU that its own checks vouch for, and the group that a GPU belongs to."""

from __future__ import annotations

import msgspec
import pytest

from quantroof.finding import Finding
from quantroof.fleet.collection import Population, Unit
from quantroof.fleet.grades import ALONE, gravest_first, vouched
from quantroof.fleet.groups import Labels, attribute_of
from tests.builders import gpu_device

LABELS: Labels = {"node-0": {"rack": "r1", "driver": "of the label"}}


def test_a_defect_comes_before_a_limit_of_the_site() -> None:
    """Of one level; a graver level comes before both, and equals keep their order."""
    given = [
        Finding("degraded", "memory_floor", "a"),
        Finding("degraded", "datasheet", "b"),
        Finding("note", "power_cap", "c"),
        Finding("degraded", "compute_reference", "d"),
        Finding("degraded", "throttling", "e"),
        Finding("failed", "xid", "f"),
    ]

    assert "".join(finding.text for finding in gravest_first(given)) == "feabdc"


def test_a_gpu_that_is_vouched_for_is_not_alone() -> None:
    """The finding that nothing can be compared goes, every other one stays."""
    alone, slow = Finding("unknown", ALONE, "a"), Finding("degraded", "datasheet", "b")

    assert vouched([alone, slow]) == (slow,)


@pytest.mark.parametrize(
    ("node", "attribute", "labels", "group"),
    [
        ("node-0", "rack", LABELS, "r1"),
        ("node-0", "driver", LABELS, "of the label"),
        ("node-1", "driver", LABELS, "580.1"),
        ("node-1", "rack", LABELS, None),
        ("node-0", "driver", None, "580.1"),
        ("node-0", "vbios", LABELS, "96.00"),
    ],
)
def test_a_label_comes_before_the_gpus_own_version(
    node: str, attribute: str, labels: Labels | None, group: str | None
) -> None:
    """What the label does not say the GPU says of itself, where it is a version."""
    device = msgspec.structs.replace(gpu_device(), driver="580.1", vbios="96.00")
    population = Population(device.name, "node", "burst", "cold", simulated=True)
    unit = Unit("run", "2026-11-20T09:00:00+00:00", node, device, population)

    assert attribute_of(unit, attribute, labels) == group
