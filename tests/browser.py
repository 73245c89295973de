"""The Chromium that the tests drive: found on the machine, or installed (`python -m tests.browser`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find() -> str | None:
    """The path of a Chromium on this machine, or None."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    if MAC.exists():
        return str(MAC)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        downloaded = playwright.chromium.executable_path
    return downloaded if Path(downloaded).exists() else None


def install() -> None:
    """Try Playwright's own download, then the system's packages."""
    may_apt = bool(shutil.which("apt-get")) and os.geteuid() == 0
    ways = [[sys.executable, "-m", "playwright", "install", *(["--with-deps"] if may_apt else []), "chromium"]]
    if may_apt:
        ways += [["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for way in ways:
        print("no Chromium yet:", *way, flush=True)
        try:
            subprocess.run(way, timeout=600, stdin=subprocess.DEVNULL, env=environment)
        except subprocess.TimeoutExpired:
            print("gave up after ten minutes", flush=True)
        if find():
            return


if __name__ == "__main__":
    if not find():
        install()
    print(find() or sys.exit("The browser tests need Chromium: install it, then run `make test` again."))
