"""A Kubernetes Indexed Job: one pod per node with all its GPUs, results on a volume that all pods share."""

from __future__ import annotations

import json
import shlex
from typing import Any

from quantroof.fleet.launch.options import LaunchOptions

_HOST = "kubernetes.io/hostname"
_GPU = "nvidia.com/gpu"


def job_manifest(options: LaunchOptions, nodes: int, image: str, claim: str) -> str:
    """A `batch/v1` Job as JSON, which kubectl reads like YAML. `claim` is a PersistentVolumeClaim.

    A pod uses the host's network, so that the run records the name of the node and not of the pod. Kubernetes
    retries each index on its own (`backoffLimitPerIndex`, from version 1.29), on any node.
    """
    labels = {"app.kubernetes.io/name": options.name}
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": options.name, "labels": labels},
        "spec": {
            "completionMode": "Indexed",
            "completions": nodes,
            "parallelism": nodes,
            "backoffLimitPerIndex": options.retries,
            "maxFailedIndexes": nodes,
            "activeDeadlineSeconds": 60 * options.minutes * (options.retries + 1),
            "template": {"metadata": {"labels": labels}, "spec": _pod(options, image, claim, labels)},
        },
    }
    return json.dumps(manifest, indent=2) + "\n"


def _pod(options: LaunchOptions, image: str, claim: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "hostNetwork": True,
        "tolerations": [{"key": _GPU, "operator": "Exists", "effect": "NoSchedule"}],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": _HOST,
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": labels},
            }
        ],
        "containers": [
            {
                "name": "quantroof",
                "image": image,
                "command": ["/bin/bash", "-c", _command(options)],
                "env": [
                    {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                ],
                "resources": {"limits": {_GPU: str(options.gpus)}},
                "volumeMounts": [{"name": "results", "mountPath": options.folder}],
            }
        ],
        "volumes": [{"name": "results", "persistentVolumeClaim": {"claimName": claim}}],
    }


def _command(options: LaunchOptions) -> str:
    """Run, or resume the run of a pod that was lost on this node; a failed kernel is a result, not a
    failure."""
    run = f'{shlex.quote(options.folder)}/run-"$NODE_NAME"'
    target = f"--device {shlex.quote(options.device)} --out {run}"
    fresh = f"quantroof run --quiet {target} {shlex.join(options.run_options)}".rstrip()
    limit = f"timeout --signal=TERM {options.minutes}m"
    return (
        f"if [ -e {run}/run.jsonl ]; then {limit} quantroof run --quiet --resume {run}; "
        f"else {limit} {fresh}; fi; code=$?; [ $code -eq 1 ] && exit 0; exit $code"
    )
