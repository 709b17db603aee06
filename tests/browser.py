"""A headless Chromium, as the machine has it: what a page has become once its scripts have run."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REASON = "no Chromium is installed (apt-get install chromium)"


def chromium() -> str | None:
    """The program on the path, or the one that playwright has downloaded; or None."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    downloaded = Path.home() / ".cache" / "ms-playwright"
    return next((str(p) for p in sorted(downloaded.glob("chromium-*/chrome-linux*/chrome"))), None)


def page(address: str, *, seconds: int = 30, picture: Path | None = None) -> str:
    """The page's elements after so many seconds of its own time, waiting for requests besides."""
    asked = ["--dump-dom"] if picture is None else [f"--screenshot={picture}"]
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                chromium(), "--headless=new", "--no-sandbox", "--disable-gpu",
                "--window-size=1600,1000", f"--virtual-time-budget={1000 * seconds}",
                f"--user-data-dir={profile}", *asked, address,
            ],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
