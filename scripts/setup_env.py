"""Make the environment that run_all.sh and run_tests.sh use, once; a second call finds its stamp and returns.

Run by the very interpreter the environment is built from, before anything is installed: standard library
only. Prints the path of the environment's Python on stdout, everything else on stderr.

A torch that the node already has is never replaced: where this interpreter sees a CUDA torch, the
environment is built on top of it and pip is held to that torch and triton by a constraint.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "tests" / "constraints.txt"
STAMP = "quantroof-setup.txt"
# The driver branch that first ran CUDA 13 (CUDA 13.0 release notes, table 3).
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CUDA_13_DRIVER = 580
ENVIRONMENT_ERROR = 3
_CUDA_PROBE = (
    "import sys, torch; ok = torch.cuda.is_available(); "
    "ok or print(f'torch {torch.__version__}, CUDA {torch.version.cuda}'); sys.exit(not ok)"
)


@dataclass(frozen=True)
class Torch:
    """The torch that an interpreter sees; `cuda` is the toolkit it was built with, None for a CPU build."""

    version: str
    cuda: str | None


@dataclass(frozen=True)
class Plan:
    """What to install. `first` goes in before all else, `last` after it and without its dependencies."""

    on_top: bool
    extras: tuple[str, ...]
    first: tuple[str, ...]
    constraints: tuple[str, ...]
    reason: str
    last: tuple[str, ...] = ()


def read_pins() -> dict[str, str]:
    """The requirement of each package in tests/constraints.txt, by name: `torch==2.13.0` for torch."""
    lines = (line.partition("#")[0].strip() for line in CONSTRAINTS.read_text().splitlines())
    return {line.partition("==")[0]: line for line in lines if line}


def find_torch() -> Torch | None:
    """Read the version file of the torch that this interpreter would import, without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = (Path(spec.origin).parent / "version.py").read_text()
        version = importlib.metadata.version("torch")
    except (OSError, importlib.metadata.PackageNotFoundError):
        return None
    cuda = re.search(r"^cuda\b[^=]*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
    return Torch(version, cuda.group(1) if cuda else None)


def driver_version() -> str | None:
    """Version of the NVIDIA driver, None where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        command = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if asked.returncode == 0 and asked.stdout.strip():
            return asked.stdout.split()[0]
    # The /proc file alone is not proof: containers without a GPU see the one of their host.
    told = Path("/proc/driver/nvidia/version")
    if Path("/dev/nvidiactl").exists() and told.exists():
        found = re.search(r"\b(\d{3,}\.\d[\d.]*)\b", told.read_text())
        return found.group(1) if found else None
    return None


def make_plan(torch: Torch | None, driver: str | None, pins: dict[str, str], *, tests: bool) -> Plan:
    """Decide what to install from what the node has. `pins` are the tests'; a user gets torch's alone."""
    tools = ("test",) if tests else ()
    tool_pins = tuple(pins[name] for name in pins if name not in ("torch", "triton")) if tests else ()
    if torch is not None and torch.cuda is not None:
        extra = "cuda13" if int(torch.cuda.split(".")[0]) >= 13 else "cuda12"
        held = [name for name in ("torch", "triton", "pytorch-triton") if _installed(name)]
        constraints = tuple(f"{name}=={importlib.metadata.version(name)}" for name in held)
        reason = f"on top of the torch {torch.version} (CUDA {torch.cuda}) that is here"
        return Plan(True, (extra, *tools), (), (*constraints, *tool_pins), reason)
    if driver is not None:
        extra = "gpu" if int(driver.split(".")[0]) >= CUDA_13_DRIVER else "gpu-cuda12"
        return Plan(False, (extra, *tools), (), tool_pins, f"NVIDIA driver {driver}: extra '{extra}'")
    first = (pins["torch"],)
    if tests:
        # A CUDA build of torch asks for a triton of its own, which nothing here uses: ours replaces it.
        reason = "no NVIDIA driver: pinned CPU torch, and triton to compile"
        return Plan(False, ("dev",), first, (*first, *tool_pins), reason, (pins["triton"],))
    return Plan(False, ("cpu",), first, first, "no NVIDIA driver: pinned CPU torch")


def _installed(name: str) -> bool:
    return any(True for _ in importlib.metadata.distributions(name=name))


def ensure(venv: Path, plan: Plan) -> Path:
    """Bring the environment to the plan, and return its Python. The stamp says what it was made from."""
    python, stamp = venv / "bin" / "python", venv / STAMP
    project = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + CONSTRAINTS.read_bytes()).hexdigest()
    base = f"{sys.executable} {sys.version.split()[0]} {venv} {plan.reason}\n"
    finished = f"{base}{plan}\n{project}\n"
    found = stamp.read_text() if stamp.exists() else None
    if found == finished:
        say(f"environment is up to date ({venv})")
        return python
    if venv.exists() and found is None:
        fail(f"{venv}: is here but was not made by this script (move it away)")
    say(plan.reason)
    if found is None or not found.startswith(base):
        create(venv, plan)
        stamp.write_text(base)
    install(python, venv, plan)
    warn_unusable_gpu(python, plan)
    stamp.write_text(finished)
    return python


def create(venv: Path, plan: Plan) -> None:
    """Make an empty virtual environment, on top of this interpreter's packages where the plan says so."""
    command = [
        sys.executable,
        "-m",
        "venv",
        "--clear",
        *(["--system-site-packages"] if plan.on_top else []),
        str(venv),
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        say((made.stdout + made.stderr).strip())
        fail(f"{venv}: {sys.executable} cannot make it (on Debian: apt-get install python3-venv)")
    if plan.on_top and sys.prefix != sys.base_prefix:
        # --system-site-packages reaches the base interpreter only; a torch in a parent venv needs its path.
        site = next((venv / "lib").glob("python3*")) / "site-packages"
        parents = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
        (site / "_quantroof_parent.pth").write_text("\n".join(parents) + "\n")


def install(python: Path, venv: Path, plan: Plan) -> None:
    """Run pip under the plan's constraints."""
    constraints = venv / "constraints.txt"
    constraints.write_text("".join(f"{line}\n" for line in plan.constraints))
    steps = [list(plan.first)] if plan.first else []
    steps.append(["--editable", f"{ROOT}[{','.join(plan.extras)}]"])
    if plan.last:
        steps.append(["--no-deps", *plan.last])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    if plan.first and not has_cpu_build(pip, plan.first[0]):
        say(f"pip's indexes have no CPU build of {plan.first[0]} for this Python: that with CUDA comes, 5 GB")
        say(f"  (for the CPU build set PIP_EXTRA_INDEX_URL={CPU_INDEX})")
    for step in steps:
        started = time.monotonic()
        say(f"pip install {' '.join(step)} ...")
        code = subprocess.run(
            [*pip, "--constraint", str(constraints), *step], check=False, stdout=sys.stderr
        ).returncode
        if code:
            fail("pip could not install it, see above (no network? --no-install uses what this Python has)")
        say(f"... {time.monotonic() - started:.0f} s")


def has_cpu_build(pip: list[str], torch: str) -> bool:
    """Whether pip finds the build `torch==2.13.0+cpu`, which it prefers to the plain one, of CUDA."""
    asked = [*pip, "--dry-run", "--no-deps", f"{torch}+cpu"]
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0


def warn_unusable_gpu(python: Path, plan: Plan) -> None:
    """Say so where a GPU was to be measured and the torch that is now there cannot use it."""
    if not plan.on_top and not any(extra.startswith("gpu") for extra in plan.extras):
        return
    asked = subprocess.run([str(python), "-c", _CUDA_PROBE], capture_output=True, text=True, check=False)
    if asked.returncode:
        why = asked.stdout.strip() or asked.stderr.strip().splitlines()[-1]
        say(f"warning: torch cannot use a GPU here, so only the CPU will be measured ({why})")
        say("  put a torch built for this driver in a Python of your own, and name it with --python")


def check_present(project: dict[str, list[str]], *, tests: bool) -> None:
    """For --no-install: fail with the names of what this interpreter lacks."""
    needed = [*project["dependencies"], "torch", *(project["test"] if tests else [])]
    names = [re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0] for requirement in needed]
    missing = [name for name in names if not _installed(name)]
    if missing:
        lacks = ", ".join(missing)
        fail(f"{sys.executable}: lacks {lacks} (install them, or name another --python)")


def say(text: str) -> None:
    """One line of progress."""
    print(f"  {text}", file=sys.stderr, flush=True)


def fail(text: str) -> None:
    """End with one line."""
    print(f"error: {text}", file=sys.stderr)
    sys.exit(ENVIRONMENT_ERROR)


def main() -> None:
    """Parse the options and make the environment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--tests", action="store_true", help="with what the test suite needs")
    parser.add_argument("--no-install", action="store_true", help="use what this Python has, install nothing")
    options = parser.parse_args()
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if options.no_install:
        check_present(
            {**table["optional-dependencies"], "dependencies": table["dependencies"]}, tests=options.tests
        )
        print(sys.executable)
        return
    plan = make_plan(find_torch(), driver_version(), read_pins(), tests=options.tests)
    print(ensure(options.venv, plan))


if __name__ == "__main__":
    main()
