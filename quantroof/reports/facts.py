"""How a run was made: everything that makes two runs incomparable, as labeled text."""

from __future__ import annotations

from statistics import median

from msgspec.structs import asdict

from quantroof import units
from quantroof.analysis.device_results import DeviceResults
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import Run
from quantroof.records.run import Host

UNKNOWN = "not reported"
Facts = list[tuple[str, str]]


def run_facts(run: Run) -> Facts:
    """Identity, settings and versions of a run."""
    info = run.info
    options = {name: value for name, value in asdict(info.options).items() if value not in (None, (), "")}
    settings = ", ".join(_setting(name, value) for name, value in options.items())
    return [
        ("run", info.run_id),
        ("started", info.started_at),
        ("node", _host(info.host)),
        ("suite", info.suite),
        ("settings", settings),
        ("versions", ", ".join(f"{name} {version}" for name, version in info.versions.items()) or UNKNOWN),
        ("environment", _variables(info.environment)),
        ("git", info.git or UNKNOWN),
        ("schema", info.schema),
        ("command", " ".join(info.command) or UNKNOWN),
        ("records", _records(run)),
    ]


def _variables(environment: dict[str, str] | None) -> str:
    if environment is None:
        return UNKNOWN
    return " ".join(f"{name}={value}" for name, value in environment.items()) or "nothing set"


def device_facts(results: DeviceResults) -> Facts:
    """Identity, limits and held clock of a device."""
    device = results.device
    shared = [
        ("name", device.name),
        ("id", device.id),
        ("memory", units.size(device.memory_bytes) if device.memory_bytes else UNKNOWN),
        ("last-level cache", units.size(device.llc_bytes) if device.llc_bytes else UNKNOWN),
    ]
    return [
        *shared,
        *(_cpu_facts(device) if device.processor == "cpu" else _gpu_facts(device)),
        *_held(results),
    ]


def outcome(run: Run) -> str | None:
    """Why a run is not whole, or None for a complete one."""
    if run.complete:
        return None
    last = run.ends[-1] if run.ends else None
    if last is None:
        return "The run has no end: it is still going on, or its writer was killed."
    return f"The run was {last.outcome}" + (f": {last.reason}." if last.reason else ".")


def _setting(name: str, value: object) -> str:
    """`cache cold`; a field that ends in `_s` has its unit behind the number: `case timeout 120 s`."""
    bare = name.removesuffix("_s")
    words = f"{bare.replace('_', ' ')} {_plain(value)}"
    return words if bare == name else f"{words} s"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _host(host: Host) -> str:
    cpus = None if host.cpus is None else f"{host.cpus} CPU{'' if host.cpus == 1 else 's'}"
    return ", ".join(part for part in (host.name, host.system, host.machine, cpus) if part) or UNKNOWN


def _records(run: Run) -> str:
    timed = sum(m.timing is not None for m in run.measurements)
    text = f"{len(run.measurements)} measurements, {timed} timed, {len(run.ceilings)} ceilings"
    return f"{text}, {len(run.unknown)} of kinds this version does not know" if run.unknown else text


def _gpu_facts(device: Device) -> Facts:
    clock = f"{device.max_sm_clock_mhz:.0f} MHz" if device.max_sm_clock_mhz else UNKNOWN
    return [
        ("UUID", f"…{device.uuid[-12:]}" if device.uuid else UNKNOWN),
        ("driver", device.driver or UNKNOWN),
        ("VBIOS", device.vbios or UNKNOWN),
        ("compute capability", device.compute_capability or UNKNOWN),
        ("SMs", str(device.sm_count) if device.sm_count else UNKNOWN),
        ("maximum SM clock", clock),
        ("power limit", f"{device.power_limit_w:.0f} W" if device.power_limit_w else UNKNOWN),
        ("ECC", {True: "on", False: "off", None: UNKNOWN}[device.ecc]),
        ("MIG", device.mig or "off or not reported"),
    ]


def _cpu_facts(device: Device) -> Facts:
    if device.cpu is None:
        return []
    cores = f"{device.cpu.usable_cores} usable of {device.cpu.physical_cores or UNKNOWN} physical"
    return [("cores", cores), ("instruction sets", ", ".join(device.cpu.isa) or UNKNOWN)]


def _held(results: DeviceResults) -> Facts:
    states = [point.measurement.state for point in results.timed]
    clocks = [state.sm_clock_mhz for state in states if state and state.sm_clock_mhz]
    if not clocks:
        return []
    text = f"median {median(clocks):.0f} MHz, {min(clocks):.0f} to {max(clocks):.0f}"
    return [("SM clock held", text)]
