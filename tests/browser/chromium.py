"""Find or install the Chromium that browser tests drive. `python -m tests.browser.chromium` makes sure that there is one.

A system browser comes first: Playwright's own download is not reachable from every machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find() -> str | None:
    """Path of a usable browser, or None. `MOE_VIZ_CHROMIUM` names one explicitly."""
    named = os.environ.get("MOE_VIZ_CHROMIUM")
    if named:
        return named
    for name in NAMES:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def install() -> None:
    """Install a browser: Playwright's own where it can be downloaded, else the distribution's package (needs root)."""
    attempts = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get"):
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        system = [[*sudo, "apt-get", "update", "-qq"], [*sudo, "apt-get", "install", "-y", "-qq", "chromium"]]
        attempts = [*system, *attempts] if os.geteuid() == 0 else [*attempts, *system]
    for command in attempts:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0 and find():
            return
    sys.exit("No Chromium found, and none could be installed: install one and set MOE_VIZ_CHROMIUM to its path.")


if __name__ == "__main__":
    if find() is None:
        install()
    print(f"browser: {find()}")
