"""The CPU quota and the memory limit that control groups (v1 and v2) set for a container."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_UNLIMITED_BYTES = 1 << 60  # v1 writes "no limit" as a huge number


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Cores that the quotas of this process's groups allow, the tightest of them; None without a quota."""
    limits = [_v2_cores(folder) for folder in _folders(root, "")]
    limits += [_v1_cores(folder) for folder in _folders(root, "cpu")]
    return min((limit for limit in limits if limit is not None), default=None)


def memory_limit_bytes(root: Path = Path("/")) -> int | None:
    """The tightest memory limit over this process; None without one."""
    limits = [_integer(folder / "memory.max") for folder in _folders(root, "")]
    limits += [_integer(folder / "memory.limit_in_bytes") for folder in _folders(root, "memory")]
    return min((limit for limit in limits if limit is not None and limit < _UNLIMITED_BYTES), default=None)


def throttled_periods(root: Path = Path("/")) -> int | None:
    """How often a quota has stopped this process's groups so far; None where no group counts it."""
    folders = [*_folders(root, ""), *_folders(root, "cpu")]
    counts = [_field(folder / "cpu.stat", "nr_throttled") for folder in folders]
    return max((count for count in counts if count is not None), default=None)


def _field(file: Path, name: str) -> int | None:
    values = dict(line.split(" ", 1) for line in _text(file).splitlines() if " " in line)
    return int(values[name]) if values.get(name, "").isdigit() else None


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The group's folder of a controller ("" for v2) with all above it: every one of them may limit.

    In a container the path may be the host's and lie outside the mount; then only the mount's top is left.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller not in controllers.split(","):
            continue
        mounts = {"": ["", "unified"]}.get(controller, [controllers, controller])
        for mount in dict.fromkeys(mounts):
            top = root / "sys/fs/cgroup" / mount
            folder = top / path.lstrip("/")
            while folder != top:
                yield folder
                folder = folder.parent
            yield top


def _v2_cores(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.strip().isdigit() else None


def _v1_cores(folder: Path) -> float | None:
    quota, period = _integer(folder / "cpu.cfs_quota_us"), _integer(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _integer(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
