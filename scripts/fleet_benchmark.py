"""Compaction and the fleet query over 2,000,000 simulated measurements: 1,250 nodes x 8 GPUs x 200 cases.

    python3 scripts/fleet_benchmark.py [FOLDER]

Parts are made first, one a node, and not timed; everything timed runs in a process of its own, as a user
would. Prints seconds, peak memory and sizes.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
NODES, GPUS, BATCHES = 1250, 8, 20
SLOW = 40


def main() -> None:
    """Make the parts, then time `compact` and `fleet`."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        if not (folder / "parts").exists():
            make_parts(folder / "parts")
        parts = sorted((folder / "parts").glob("*.parquet"))
        print(f"{len(parts)} parts, {size_mb(parts):.0f} MB")
        whole = folder / "fleet.parquet"
        timed("compact", ["compact", str(folder / "parts" / "*.parquet"), "--out", str(whole)])
        print(f"one file, {size_mb([whole]):.0f} MB")
        timed("fleet", ["fleet", str(whole), "--top", "3"])


def make_parts(folder: Path) -> None:
    """One Parquet part a node; 40 GPUs of the fleet are 12 % slow in compute."""
    from quantroof.fleet.parts import connect

    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(11)
    works = fleet_works()
    slow = set(random.choice(NODES * GPUS, SLOW, replace=False).tolist())
    with connect() as connection:
        for node in range(NODES):
            frame = node_frame(node, works, slow, random)
            connection.register("rows", frame)
            target = folder / f"node-{node}.parquet"
            connection.sql("SELECT * FROM rows").write_parquet(str(target), compression="zstd")


def fleet_works() -> list[tuple[str, str, int, int, bool]]:
    """200 works: name, element, operations, bytes, and whether compute bounds it."""
    from quantroof.kernels.cases import Case
    from quantroof.kernels.schemes import SCHEMES

    found = []
    for scheme in ("bf16", "fp8-w8a8", "int8-w8a8", "int8-w8a16", "int4-w4a16"):
        for n, k in ((6144, 4096), (4096, 14336)):
            for i in range(BATCHES):
                m = i + 1 if i < BATCHES // 2 else 2048 + 128 * i
                case = Case.linear(SCHEMES[scheme], m, n, k)
                compute = case.flops / case.bytes_moved > 295
                found.append((f"{case.id} torch", case.compute.name, case.flops, case.bytes_moved, compute))
    return found


def node_frame(
    node: int, works: list[tuple[str, str, int, int, bool]], slow: set[int], random: np.random.Generator
) -> pd.DataFrame:
    """The rows of one node."""
    from quantroof.fleet.rows import SCHEMA, Row
    from tests.builders import gpu_device

    works_frame = pd.DataFrame(works, columns=["work", "element", "flops", "bytes_moved", "compute"])
    true_ns = np.maximum(works_frame["flops"] / 7e14, works_frame["bytes_moved"] / 3.1e12) * 1e9
    frames = []
    for index in range(GPUS):
        device = msgspec.structs.replace(gpu_device(index), uuid=f"GPU-{node:08d}-{index}")
        lag = random.normal(0, 0.02) + (0.12 if node * GPUS + index in slow else 0.0)
        level = np.where(works_frame["compute"], lag, random.normal(0, 0.006))
        frame = works_frame.assign(
            schema=SCHEMA, run_id=f"sweep-{node}", started_at="2026-11-20T09:00:00+00:00",
            node=f"node-{node}", suite="node", mode="burst", cache="cold", simulated=True,
            device_id=device.id, device=msgspec.json.encode(device).decode(), process=0,
            status="simulated", median_ns=true_ns * np.exp(level + random.normal(0, 0.005, len(works))),
            faulty_clock=False, ecc_errors=0, xid=False, foreign=False,
        )  # fmt: skip
        frames.append(frame[list(Row.__struct_fields__)])
    return pd.concat(frames)


def timed(name: str, arguments: list[str]) -> None:
    """Run a quantroof command and print what it took."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "quantroof", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{name}: {seconds:.1f} s, {cpu:.1f} CPU seconds, at most {after.ru_maxrss / 1e6:.2f} GB")
    print(done.stdout + done.stderr)


def size_mb(files: list[Path]) -> float:
    """Size of files in MB."""
    return sum(file.stat().st_size for file in files) / 1e6


if __name__ == "__main__":
    main()
