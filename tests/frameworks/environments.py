"""Builds the environments that the frameworks are tested in, and runs Python in one of them.

They do not fit into one: some ask for openai 3 (environment `a`), others for openai 2 (`b`); `bench` holds what is
measured beside ours, `marimo` another notebook. For example:

    python -m tests.frameworks.environments a -m pytest tests/frameworks/a tests/frameworks/both

An environment is made of the lock beside this file, once for each lock and each Python, and kept in the user's cache
folder, or where `PEAKY_PEEK_TEST_ENVS` says. It belongs to no checkout: the checkout is put on its path for a run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import platformdirs

ROOT = Path(__file__).parents[2]
NAMES = ("a", "b", "bench", "marimo")
_CURRENT = "PEAKY_PEEK_TEST_ENV"
_KEPT = 7 * 24 * 3600


def lock(name: str) -> Path:
    """The file with every package of an environment and its version."""
    return Path(__file__).with_name(f"env_{name}.txt")


def python(name: str) -> Path:
    """The Python of an environment, which is built if there is none yet."""
    built = _folder() / f"{name}-{_key(name)}"
    if not (built / "bin" / "python").exists():
        _build(name, built)
    os.utime(built)
    _remove_unused()
    return built / "bin" / "python"


def run(name: str, *arguments: str) -> int:
    """Run Python in an environment, with this checkout on its path, and return its exit code."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    told = os.environ | {"PYTHONPATH": path, _CURRENT: name}
    return subprocess.run([str(python(name)), *arguments], env=told).returncode


def current() -> str:
    """The name of the environment that this process runs in."""
    return os.environ[_CURRENT]


def _folder() -> Path:
    chosen = os.environ.get("PEAKY_PEEK_TEST_ENVS")
    return Path(chosen) if chosen else platformdirs.user_cache_path("peaky-peek-tests")


def _key(name: str) -> str:
    made_of = lock(name).read_bytes() + f"{sys.version} {sys.base_prefix}".encode()
    return hashlib.sha256(made_of).hexdigest()[:16]


def _build(name: str, target: Path) -> None:
    """Build beside the target, and rename it when it is whole: an interrupted build is never taken for one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"building the environment {name} in {target}", flush=True)
    with tempfile.TemporaryDirectory(prefix=f"building-{name}-", dir=target.parent) as beside:
        made = Path(beside, "env")
        _uv("venv", "--relocatable", "--python", sys.executable, str(made))
        _uv("pip", "sync", "--python", str(made / "bin" / "python"), str(lock(name)))
        try:
            made.rename(target)
        except OSError:
            if not (target / "bin" / "python").exists():  # else somebody else was faster
                raise


def _uv(*arguments: str) -> None:
    patient = {"UV_HTTP_TIMEOUT": "300", **os.environ}
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=True, env=patient)


def _remove_unused() -> None:
    """Remove what no run has used for a week: environments of older locks, and what interrupted builds left."""
    for old in _folder().iterdir():
        if (
            old.name.startswith(tuple(f"{name}-" for name in (*NAMES, "building")))
            and time.time() - old.stat().st_mtime > _KEPT
        ):
            gone = old.rename(old.with_name(f"building-{old.name}-{os.getpid()}"))  # never seen half removed
            shutil.rmtree(gone, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in NAMES:
        sys.exit(run(*sys.argv[1:]))
    sys.exit(__doc__)
