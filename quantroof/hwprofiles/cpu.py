"""The host's processor as a Device: model, usable cores, instruction sets, caches, memory."""

from __future__ import annotations

import math
import os
import platform
import shutil
import subprocess
from pathlib import Path

from quantroof.hwprofiles import cgroup
from quantroof.hwprofiles.types import CpuInfo, Device

# Instruction sets that decide which kernels a library picks, as /proc/cpuinfo names them (x86-64, aarch64).
_ISA = (
    *("avx2", "fma", "f16c", "avx_vnni", "avx_vnni_int8", "avx512f", "avx512bw", "avx512vl", "avx512_vnni"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16", "avx10"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "svei8mm", "svebf16", "sme"),
)
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def cpu_device(root: Path = Path("/")) -> Device:
    """The CPU with what this process may use of it. `root` is where /proc and /sys are mounted."""
    fields = _cpuinfo(root)
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    usable = _usable_cpus()
    quota = cgroup.cpu_quota(root)
    cores = len(usable) if quota is None else min(len(usable), max(1, math.floor(quota)))
    first = min(usable)
    info = CpuInfo(
        model=_model(fields),
        physical_cores=_physical_cores(),
        usable_cores=cores,
        isa=tuple(name for name in _ISA if name in flags),
        l1d_bytes=_own_cache(root, first, level=1),
        l2_bytes=_own_cache(root, first, level=2),
        l3_bytes=_shared_l3(root, usable),
    )
    memory = _memory_bytes(root)
    return Device(
        kind="cpu",
        index=0,
        name=info.model,
        memory_bytes=memory,
        llc_bytes=info.l3_bytes or info.l2_bytes,
        cpu=info,
    )


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first processor's fields of /proc/cpuinfo; empty if there is no such file."""
    fields: dict[str, str] = {}
    try:
        text = (root / "proc/cpuinfo").read_text()
    except OSError:
        return fields
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    return fields


def _model(fields: dict[str, str]) -> str:
    """The processor's name. aarch64 kernels print part numbers only; lscpu knows their names."""
    if name := fields.get("model name"):
        return name
    if lscpu := shutil.which("lscpu"):
        english = {**os.environ, "LC_ALL": "C"}  # the labels are in the user's language
        done = subprocess.run([lscpu], capture_output=True, text=True, timeout=10, check=False, env=english)
        for line in done.stdout.splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "Model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "CPU"


def _usable_cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _physical_cores() -> int | None:
    import psutil

    cores: int | None = psutil.cpu_count(logical=False)
    return cores


def _memory_bytes(root: Path) -> int:
    import psutil

    total = int(psutil.virtual_memory().total)
    limit = cgroup.memory_limit_bytes(root)
    return total if limit is None else min(total, limit)


def _caches(root: Path, cpu: int) -> list[tuple[int, str, int, str]]:
    """(level, type, bytes, sharing CPUs) of one CPU's caches, as sysfs lists them."""
    caches = []
    for folder in sorted((root / f"sys/devices/system/cpu/cpu{cpu}/cache").glob("index*")):
        try:
            level, kind, size, shared = (
                (folder / name).read_text().strip() for name in ("level", "type", "size", "shared_cpu_list")
            )
        except OSError:
            continue
        if size[-1:] in _UNITS and size[:-1].isdigit():
            caches.append((int(level), kind, int(size[:-1]) * _UNITS[size[-1]], shared))
    return caches


def _own_cache(root: Path, cpu: int, *, level: int) -> int | None:
    sizes = (size for at, kind, size, _ in _caches(root, cpu) if at == level and kind != "Instruction")
    return next(sizes, None)


def _shared_l3(root: Path, cpus: set[int]) -> int | None:
    """Sum over the L3 instances that the usable CPUs reach: a server part has several."""
    instances = {shared: size for cpu in cpus for level, _, size, shared in _caches(root, cpu) if level == 3}
    return sum(instances.values()) or None
