"""Which tables of aiconfigurator there are: of an installed package or a checkout, and how they are read."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from quantroof import duck
from quantroof.errors import EnvironmentMissing, UsageError, unknown_name
from quantroof.records.run import Imported

PACKAGE = "aiconfigurator_core"
# The system folders of the tables and the profiles of their GPUs.
SYSTEMS = {
    "a100_sxm": "a100-sxm4-80gb",
    "l40s": "l40s",
    "h100_sxm": "h100-sxm5-80gb",
    "h200_sxm": "h200-sxm",
    "b200_sxm": "b200",
    "b300_sxm": "b300",
    "gb200": "gb200",
    "gb300": "gb300",
    "rtx_pro_6000_server": "rtx-pro-6000-server",
}


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One collection: a framework's version on a system."""

    system: str
    framework: str
    version: str
    path: str


def root(checkout: Path | None) -> Path:
    """The folder of the systems: of a checkout, or of the installed package."""
    if checkout is not None:
        folders = [path for path in checkout.glob("**/systems/data") if path.is_dir()]
        if folders:
            return folders[0]
        raise UsageError("holds no folder systems/data", where=str(checkout))
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentMissing(
            "aiconfigurator's tables are not installed",
            hint="pip install aiconfigurator-core, or name a checkout with --from",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "systems" / "data"


def tables(folder: Path) -> list[Table]:
    """Every table of linear layers under a folder of systems."""
    listing = []
    for path in sorted(folder.glob("*/gemm/*/*/gemm_perf.parquet")):
        version, framework, system = path.parts[-2], path.parts[-3], path.parts[-5]
        listing.append(Table(system=system, framework=framework, version=version, path=str(path)))
    return listing


def pick(available: list[Table], system: str, framework: str | None, version: str | None) -> list[Table]:
    """The tables of a system, each framework's newest unless a version is named."""
    systems = sorted({table.system for table in available})
    if system not in systems:
        raise unknown_name("system", system, systems, "--system")
    if system not in SYSTEMS:
        raise UsageError(f"no profile is known for the system {system}", where="--system")
    own = [table for table in available if table.system == system]
    names = sorted({table.framework for table in own})
    if framework is not None and framework not in names:
        raise unknown_name("framework", framework, names, "--framework")
    own = [table for table in own if framework in (None, table.framework)]
    if version is not None:
        matches = [table for table in own if table.version == version]
        if not matches:
            raise unknown_name("version", version, sorted({table.version for table in own}), "--version")
        return matches
    newest = {table.framework: table for table in sorted(own, key=lambda table: _order(table.version))}
    return list(newest.values())


def _order(version: str) -> tuple[tuple[int, int], ...]:
    """Numbers of a version in order; a release candidate comes before its release."""
    parts = version.replace("rc", ".-1.").replace("post", ".1.").split(".")
    return tuple((int(part), 0) for part in parts if part.lstrip("-").isdigit())


def origin(picked: list[Table]) -> Imported:
    """What the header of the run says about its source."""
    return Imported(
        source="aiconfigurator (github.com/ai-dynamo/aiconfigurator)",
        version=_installed(),
        license="Apache-2.0",
        framework=", ".join(f"{table.framework} {table.version}" for table in picked),
        rule="the mean of six replays of a CUDA graph, weights cycled by framework, clocks unknown",
    )


def _installed() -> str:
    try:
        return metadata.version("aiconfigurator-core")
    except metadata.PackageNotFoundError:
        return "a checkout"


def beside(folder: Path, table: Table, kind: str, name: str) -> Path | None:
    """A table of another kind: of the same version, else of the newest; None if the framework has none."""
    files = list((folder / table.system / kind / table.framework).glob(f"*/{name}_perf.parquet"))
    own = [file for file in files if file.parent.name == table.version]
    return max(own or files, key=lambda file: _order(file.parent.name), default=None)


def parquet_rows(path: Path | str, query: str, **values: object) -> list[tuple[Any, ...]]:
    """The rows of a query over `{table}`. UsageError if the file is not such a table."""
    database = duck.duckdb("reading Parquet")
    text = query.format(table="read_parquet($path)")
    with duck.reading_parquet(path, "is not such a table"):
        rows: list[tuple[Any, ...]] = database.execute(text, {"path": str(path), **values}).fetchall()
    return rows
