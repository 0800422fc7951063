#!/usr/bin/env python3
"""Write sample reports of simulated devices into reports/samples/: by default one per kind of reader."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FINDING = 1  # the exit code of a run that found a bad device: the report is about it


@dataclass(frozen=True)
class Sample:
    """One report: the device of its run, whom it is for, and the device of an older run to compare with."""

    device: str
    title: str
    reader: str | None = None
    baseline: str | None = None


READERS = (
    Sample("sim:h100-sxm5-80gb*8+memory@3", "For a cluster engineer: 8 H100, one with slow memory", "health"),
    Sample("sim:h100-sxm5-80gb", "For an ML engineer: which format to serve on an H100", "formats"),
    Sample(
        "sim:rtx-4090+memory@0",
        "For a kernel developer: what got slower on an RTX 4090, and why",
        "ci",
        baseline="sim:rtx-4090",
    ),
)


def name_of(device: str) -> str:
    """A file name for a simulated device."""
    return device.removeprefix("sim:").replace("*", "-x").replace("+", "-").replace("@", "")


def quantroof(*arguments: str) -> None:
    """Run a command of quantroof; a finding is not an error."""
    command = [sys.executable, "-m", "quantroof", *arguments]
    code = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode
    if code not in (0, FINDING):
        raise subprocess.CalledProcessError(code, command)


def measured(device: str, suite: str, folder: Path) -> Path:
    """The run of a suite on a simulated device; an older one of that name is replaced."""
    run = folder / name_of(device)
    shutil.rmtree(run, ignore_errors=True)
    quantroof("run", "--device", device, "--suite", suite, "--out", str(run), "--quiet")
    return run


def write(sample: Sample, suite: str, folder: Path) -> Path:
    """Write the report of a sample and return its path."""
    page = folder / f"{name_of(sample.device)}.html"
    options = ["--out", str(page)]
    if sample.reader:
        options += ["--reader", sample.reader]
    if sample.baseline:
        options += ["--baseline", str(measured(sample.baseline, suite, folder))]
    quantroof("report", str(measured(sample.device, suite, folder)), *options)
    return page


def main() -> int:
    """Parse the options; print the path of every report, a tab and its title."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--device", action="append", help="sim:PROFILE; repeatable; a report per reader by default"
    )
    parser.add_argument("--suite", default="default")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "samples")
    options = parser.parse_args()
    samples = [Sample(device, device) for device in options.device or ()] or READERS
    if wrong := [sample.device for sample in samples if not sample.device.startswith("sim:")]:
        parser.error(f"{wrong[0]}: samples are of simulated devices (sim:PROFILE)")
    for sample in samples:
        try:
            print(write(sample, options.suite, options.out.resolve()), sample.title, sep="\t")
        except subprocess.CalledProcessError as error:
            return error.returncode  # the command has printed why
    return 0


if __name__ == "__main__":
    sys.exit(main())
