"""The CPU as a device, and what a container leaves of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantroof.hwprofiles import cgroup
from quantroof.hwprofiles.cpu import cpu_device


def write(root: Path, files: dict[str, str]) -> Path:
    """A file system in the small."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_this_machines_cpu_is_described() -> None:
    """Every machine has a name, memory and at least one usable core."""
    device = cpu_device()
    assert device.id == "cpu:0"
    assert device.name
    assert device.cpu is not None
    assert 1 <= device.cpu.usable_cores <= (os.cpu_count() or 1)
    assert device.memory_bytes is not None
    assert device.memory_bytes > 1 << 28


def cpu_files(cpu: int, l3_shared: str) -> dict[str, str]:
    """sysfs of one CPU: split L1, own L2, shared L3."""
    base = f"sys/devices/system/cpu/cpu{cpu}/cache"
    caches = [
        ("index0", "1", "Data", "48K", str(cpu)),
        ("index1", "1", "Instruction", "32K", str(cpu)),
        ("index2", "2", "Unified", "2048K", str(cpu)),
        ("index3", "3", "Unified", "32M", l3_shared),
    ]
    return {
        f"{base}/{index}/{name}": text
        for index, *values in caches
        for name, text in zip(("level", "type", "size", "shared_cpu_list"), values, strict=True)
    }


def test_caches_and_instruction_sets_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """L1 is the data cache, L3 the sum over the instances the usable CPUs share."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2})
    cpuinfo = "processor : 0\nmodel name : AMD EPYC 9B14\nflags : fpu avx2 avx512f avx512_bf16 amx_tile\n"
    root = write(
        tmp_path,
        {"proc/cpuinfo": cpuinfo, **cpu_files(0, "0-1"), **cpu_files(1, "0-1"), **cpu_files(2, "2-3")},
    )
    device = cpu_device(root)
    assert device.name == "AMD EPYC 9B14"
    assert device.cpu is not None
    assert device.cpu.isa == ("avx2", "avx512f", "avx512_bf16", "amx_tile")
    assert device.cpu.l1d_bytes == 48 << 10
    assert device.cpu.l2_bytes == 2 << 20
    assert device.cpu.l3_bytes == device.llc_bytes == 64 << 20


def test_aarch64_names_its_features_otherwise(tmp_path: Path) -> None:
    """Arm kernels list Features, and the ones that matter are kept."""
    root = write(tmp_path, {"proc/cpuinfo": "processor : 0\nFeatures : fp asimd sve sve2 i8mm bf16\n"})
    info = cpu_device(root).cpu
    assert info is not None
    assert set(info.isa) == {"asimd", "sve", "sve2", "i8mm", "bf16"}


def test_the_name_of_an_arm_processor_does_not_depend_on_the_users_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kernel prints part numbers, lscpu translates its labels: German ones made it another device."""
    lscpu = tmp_path / "lscpu"
    lscpu.write_text(
        '#!/bin/sh\n[ "$LC_ALL" = C ] && echo "Model name: Neoverse-N1" || echo "Modellname: Neoverse-N1"\n'
    )
    lscpu.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    root = write(tmp_path, {"proc/cpuinfo": "processor : 0\nFeatures : fp asimd\n"})

    assert cpu_device(root).name == "Neoverse-N1"


def test_a_cpu_quota_and_a_memory_limit_of_a_container_count(tmp_path: Path) -> None:
    """cgroup v2: the tightest of a group and those above it."""
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/box\n",
            "sys/fs/cgroup/pod/box/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/pod/cpu.max": "max 100000\n",
            "sys/fs/cgroup/pod/memory.max": "1073741824\n",
            "sys/fs/cgroup/pod/box/memory.max": "max\n",
            "sys/fs/cgroup/pod/box/cpu.stat": "nr_periods 80\nnr_throttled 23\nthrottled_usec 9\n",
        },
    )
    assert cgroup.cpu_quota(root) == 1.5
    assert cgroup.throttled_periods(root) == 23
    assert cgroup.memory_limit_bytes(root) == 1 << 30
    device = cpu_device(root)
    assert device.memory_bytes == 1 << 30
    assert device.cpu is not None
    assert device.cpu.usable_cores == 1, (
        "two threads of one and a half cores would be stopped in every period"
    )


def test_control_groups_of_the_first_kind_are_read(tmp_path: Path) -> None:
    """cgroup v1: quota over period, and a huge number that means no limit."""
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/box\n1:cpu,cpuacct:/box\n",
            "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648\n",
        },
    )
    assert cgroup.cpu_quota(root) == 2.0
    assert cgroup.memory_limit_bytes(root) == 2 << 30


def test_no_control_group_is_no_limit(tmp_path: Path) -> None:
    """An unlimited process has neither quota nor limit, and an unlimited v1 quota is -1."""
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "1:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup.cpu_quota(root) is None
    assert cgroup.memory_limit_bytes(root) is None
