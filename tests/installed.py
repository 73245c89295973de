"""Real installs of this checkout, into environments of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent


def build(kind: str, source: Path, out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build an sdist or a wheel with what is installed here."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--skip-dependency-check", "--outdir"]
    return subprocess.run(
        [*command, str(out), str(source)], capture_output=True, text=True, env=os.environ | environment, cwd=out
    )


def environment(folder: Path) -> Path:
    """Make an environment, and return its Python; what Peaky Peek depends on is found where it is installed here."""
    uv("venv", "--python", sys.executable, str(folder))
    (site_packages(folder) / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def site_packages(folder: Path) -> Path:
    """Where an environment keeps what is installed into it."""
    (found,) = folder.glob("lib/python*/site-packages")
    return found


def install(how: str, python: Path, what: list[str]) -> None:
    """Install something into an environment with pip or with uv, without its dependencies and without the network."""
    if how == "uv":
        uv("pip", "install", "--python", str(python), "--offline", "--no-deps", "--no-build-isolation", *what)
    else:
        offline = ["--no-index", "--no-deps", "--no-build-isolation", "--no-warn-script-location"]
        command = [sys.executable, "-m", "pip", "--quiet", "--python", str(python), "install", *offline, *what]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


def uv(*arguments: str) -> None:
    """Run uv."""
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=True, timeout=120)
