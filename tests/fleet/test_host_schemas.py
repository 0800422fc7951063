"""The files of docs/kubernetes against the schemas of their hosts: what fits, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    "validation-request.yaml": "nvsentinel-validation-request",
    "validation-values.yaml": "nvsentinel-validation-values",
    "preflight-values.yaml": "nvsentinel-preflight-values",
    "npd-quantroof.json": "npd-custom-plugin",
}
TEST = ("lifecycle-manager", "config", "tests", "quantroof-prolog")
REMOVED = object()
# File, where it is changed, and what is put there. Each names a rule of the host's published types.
SPOILED: list[tuple[str, tuple[Any, ...], Any]] = [
    ("validation-request.yaml", ("apiVersion",), "nvsentinel.dgxc.nvidia.com/v1"),
    ("validation-request.yaml", ("kind",), "MaintenanceRequest"),
    ("validation-request.yaml", ("spec",), REMOVED),
    ("validation-request.yaml", ("spec", "nodes"), REMOVED),
    ("validation-request.yaml", ("spec", "nodes"), ["node-a"]),
    ("validation-request.yaml", ("spec", "nodes", 0, "name"), REMOVED),
    ("validation-request.yaml", ("spec", "nodes", 0, "name"), 7),
    ("validation-request.yaml", ("spec", "nodes", 0, "gpusImpacted"), ["GPU-1"]),
    ("validation-request.yaml", ("spec", "tests"), "quantroof-prolog"),
    ("validation-request.yaml", ("spec", "test"), ["quantroof-prolog"]),
    ("validation-request.yaml", ("status",), {"phase": "Done"}),
    ("validation-request.yaml", ("status",), {"testGroups": [{"name": "a"}]}),
    ("validation-values.yaml", (*TEST, "provider"), REMOVED),
    ("validation-values.yaml", (*TEST, "command"), "quantroof doctor"),
    ("validation-values.yaml", (*TEST, "batchFailurePolicy"), "open"),
    ("validation-values.yaml", (*TEST, "minimumNodesPerBatch"), 0),
    ("validation-values.yaml", (*TEST, "minimumNodesPerBatch"), 2),
    ("validation-values.yaml", (*TEST, "exclusiveNodeAccess"), True),
    ("validation-values.yaml", (*TEST[:3], "Quantroof_Prolog"), {"provider": "k8s-job-provider"}),
    ("preflight-values.yaml", ("preflight", "containers"), []),
    ("preflight-values.yaml", ("preflight", "initContainers", 0, "image"), "quantroof:1"),
    ("npd-quantroof.json", ("plugin",), "journald"),
    ("npd-quantroof.json", ("pluginConfig", "time_out"), "20s"),
    ("npd-quantroof.json", ("pluginConfig", "timeout"), "20 s"),
    ("npd-quantroof.json", ("rules", 0, "type"), "fatal"),
    ("npd-quantroof.json", ("rules", 0, "condition"), REMOVED),
    ("npd-quantroof.json", ("conditions", 0, "reason"), REMOVED),
]
# What NVSentinel's controller writes into a request, as its types have it.
STATUS = {
    "phase": "Failed",
    "testGroups": [
        {
            "name": "group-0", "provider": "k8s-job-provider", "tests": ["quantroof-prolog"],
            "nodes": ["node-a"],
            "attempts": [{"objectName": "job-0", "phase": "Failed", "failureReason": "TestFailed",
                          "failedNodes": ["node-a"], "startTime": "2026-07-14T10:00:00Z"}],
        }
    ],
    "skipped": {"nodes": [], "tests": []},
    "conditions": [{"type": "Complete", "status": "True", "reason": "TestFailed", "message": "",
                    "lastTransitionTime": "2026-07-14T10:01:00Z"}],
}  # fmt: skip


def document(name: str) -> Any:
    """A file of docs/kubernetes; JSON is YAML."""
    return pytest.importorskip("yaml").safe_load((ROOT / "docs" / "kubernetes" / name).read_text())


def rules(name: str) -> Any:
    """The schema of the file's host."""
    return json.loads((ROOT / "tests" / "data" / "schemas" / f"{FILES[name]}.json").read_text())


def fits(name: str) -> Callable[[Any], bool]:
    """Whether the host of a file accepts a content."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(rules(name))
    return jsonschema.Draft202012Validator(rules(name)).is_valid  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", FILES)
def test_our_file_fits_its_host(name: str) -> None:
    """Each schema names the file and the commit that it was written from."""
    assert fits(name)(document(name))
    assert "Written from " in rules(name)["$comment"]
    assert " at " in rules(name)["$comment"]


@pytest.mark.parametrize(("name", "where", "put"), SPOILED)
def test_a_host_refuses_a_spoiled_file(name: str, where: tuple[Any, ...], put: Any) -> None:
    """Wrong group, kind, type or word; a missing required field; a field that the host does not know."""
    content = document(name)
    *parents, last = where
    place = reduce(lambda part, step: part[step], parents, content)
    if put is REMOVED:
        del place[last]
    else:
        place[last] = put

    assert not fits(name)(content)


def test_a_host_accepts_what_its_types_leave_open() -> None:
    """No tests (the site's default ones run), a status that the controller wrote, a batch of two nodes."""
    request, values = document("validation-request.yaml"), document("validation-values.yaml")
    del request["spec"]["tests"]
    batch = {"provider": "nccl-provider", "supportsBatchingNodes": True, "minimumNodesPerBatch": 2}
    values["lifecycle-manager"]["config"]["tests"] = {
        "batch": batch,
        "least": {"provider": "k8s-job-provider"},
    }

    assert fits("validation-request.yaml")({**request, "status": STATUS})
    assert fits("validation-values.yaml")(values)


def test_kubernetes_accepts_the_metadata_of_the_request() -> None:
    """The CRD leaves metadata to Kubernetes: its schema of any kind judges it."""
    validator = pytest.importorskip("kubernetes_validate")
    metadata = document("validation-request.yaml")["metadata"]
    validator.validate({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, "1.29", strict=True)

    spoiled = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "nodes": []}}
    with pytest.raises(validator.ValidationError):
        validator.validate(spoiled, "1.29", strict=True)
