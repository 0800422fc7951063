"""The base installation: nothing of the extra is imported, and what is missing is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from quantroof.extras import install_hint

Run = Callable[..., tuple[int, str, str]]
EXTRA = ("transformers", "accelerate", "bitsandbytes", "llmcompressor", "tokenizers", "safetensors")


def test_the_format_lab_imports_none_of_the_extra() -> None:
    """`quality formats` runs to its end with every package of the extra refused."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({EXTRA!r}))\n"
        "from quantroof.cli.main import main\n"
        "main(['quality', 'formats', '--format', 'bf16'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "55." in done.stdout


@pytest.mark.parametrize(
    "command", [("study",), ("sensitivity",), ("quantize", "--method", "fp8", "--out", "o")]
)
def test_without_the_extra_a_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, run_command: Run, command: tuple[str, ...]
) -> None:
    """Exit code 3 and one line with the extra's name."""
    for package in EXTRA:
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    code, _, error = run_command(*command)

    assert code == 3
    assert error.strip().splitlines()[-1].endswith(f"({install_hint('llm')})")
