"""Small agents that know nothing of Peaky Peek, and how they are run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
AGENT = """\
import os
import httpx

body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
answer = httpx.post(os.environ["MODEL"] + "/chat/completions", json=body).json()
print(answer["choices"][0]["message"]["content"])
"""
"""Asks a model once."""


def write(folder: Path, source: str, name: str = "agent.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return path


def run(
    *command: str | Path, python: str | Path = sys.executable, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python; the names are environment variables."""
    chosen = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PEAKY_PEEK_AUTO"))}
    return subprocess.run(
        [str(python), *map(str, command)], capture_output=True, text=True, env=chosen | environment, timeout=60
    )
