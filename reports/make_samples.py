#!/usr/bin/env python3
"""Write sample reports of simulated devices into reports/samples/."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEVICES = ("sim:h100-sxm5-80gb", "sim:rtx-4090", "sim:h100-sxm5-80gb*8+compute@3")


def sample(device: str, suite: str, folder: Path) -> Path:
    """Run the suite on a simulated device and write its report; both are replaced where they exist."""
    name = device.removeprefix("sim:").replace("*", "-x").replace("+", "-").replace("@", "")
    run, page = folder / name, folder / f"{name}.html"
    shutil.rmtree(run, ignore_errors=True)
    quantroof = [sys.executable, "-m", "quantroof"]
    subprocess.run(
        [*quantroof, "run", "--device", device, "--suite", suite, "--out", str(run), "--quiet"],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    subprocess.run(
        [*quantroof, "report", str(run), "--out", str(page)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    return page


def main() -> int:
    """Parse the options and print the path of every report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", action="append", help="sim:PROFILE; repeatable; three by default")
    parser.add_argument("--suite", default="default")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "samples")
    options = parser.parse_args()
    devices = options.device or DEVICES
    if wrong := [device for device in devices if not device.startswith("sim:")]:
        parser.error(f"{wrong[0]}: samples are of simulated devices (sim:PROFILE)")
    for device in devices:
        try:
            print(sample(device, options.suite, options.out.resolve()))
        except subprocess.CalledProcessError as error:
            return error.returncode  # the command has said why
    return 0


if __name__ == "__main__":
    sys.exit(main())
