"""A PNG of a report, taken by a Chromium that the machine has."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from quantroof.errors import EnvironmentMissing

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SIZE = "1440,2600"
_TIMEOUT_S = 90


def picture(page: Path) -> Path:
    """Write `page` with the suffix .png beside it; EnvironmentMissing if there is no browser."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise EnvironmentMissing("--png needs chromium, which is not installed", hint="apt install chromium")
    target = page.with_suffix(".png")
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="quantroof-") as profile:
        arguments = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--hide-scrollbars", f"--user-data-dir={profile}", f"--window-size={_SIZE}",
            "--virtual-time-budget=10000", f"--screenshot={target.resolve()}", page.resolve().as_uri(),
        ]  # fmt: skip
        try:
            subprocess.run(arguments, capture_output=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            what = f"{browser} took no picture within {_TIMEOUT_S} s"
            raise EnvironmentMissing(what, where=str(page)) from None
    if not target.exists():
        raise EnvironmentMissing(f"{browser} took no picture", where=str(page))
    return target
