"""Doctor's checks of the libraries: does torch start and see the GPUs, and which kernels are left out?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from quantroof.extras import PURPOSES, install_hint, missing, package, pip_line
from quantroof.finding import Finding
from quantroof.hwprofiles.detect import Detection

NOTHING_RUNS = "torch"  # the code of a check without which nothing can be measured


def library_checks(detection: Detection, installed: dict[str, str]) -> list[Finding]:
    """Checks of the libraries, `installed` by name and version."""
    if "torch" not in installed:
        return [missing_torch(gpu=bool(detection.gpus))]
    if (why := broken_torch()) is not None:
        text = f"torch {installed['torch']} cannot be imported: {why}"
        return [Finding("warning", NOTHING_RUNS, text, "install the one for this driver")]
    return list(_for_gpus(detection, installed)) if detection.gpus else []


def missing_torch(*, gpu: bool) -> Finding:
    """What to do about a machine without torch."""
    text = "torch is not installed: nothing can be measured without it"
    return Finding("warning", NOTHING_RUNS, text, install_hint("gpu" if gpu else "cpu"))


def optional_packages() -> list[Finding]:
    """Every extra whose packages are missing, with what needs it."""
    return [
        Finding("note", extra, f"for {purpose}: {', '.join(map(package, lacking))}", pip_line(lacking))
        for extra, purpose in PURPOSES.items()
        if (lacking := missing(extra))
    ]


def broken_torch() -> str | None:
    """Why torch cannot be imported, None if it can; tried in another process, which it may crash."""
    process = subprocess.run(
        [sys.executable, "-P", "-c", "import torch"], capture_output=True, text=True, check=False
    )
    if process.returncode == 0:
        return None
    lines = process.stderr.strip().splitlines()
    return lines[-1].strip() if lines else f"the interpreter ended with {process.returncode}"


def _for_gpus(detection: Detection, installed: dict[str, str]) -> Iterator[Finding]:
    from quantroof.hwprofiles.torch_join import join_with_torch
    from quantroof.kernels.registry import load

    _, remarks = join_with_torch(detection.devices)
    yield from (Finding("warning", "torch_sees", text) for text in remarks)
    for name in ("triton", "cupy"):
        if not any(package.startswith(name) for package in installed):
            text = f"{name} is not installed: its kernels are skipped"
            yield Finding(
                "note", name, text, f"pip install {name}" if name == "triton" else install_hint("cuda13")
            )
    for module, reason in load().broken.items():
        text = f"the kernels of {module.rpartition('.')[2]} are left out: {reason}"
        yield Finding("note", "kernels", text)
