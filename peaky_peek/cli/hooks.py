"""Says what of this environment is recorded, and by which hook: the start of programs, the wire, every library."""

from __future__ import annotations

import json
import os
import re
import site
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from peaky_peek.capture import autopatch, frameworks
from peaky_peek.capture.frameworks import Adapter
from peaky_peek.cli.findings import Finding, version

HTTP = ("httpx", "httpx2", "aiohttp")
BY_THE_WIRE = (
    "openai", "anthropic", "google-genai", "litellm", "dspy", "haystack-ai", "smolagents", "strands-agents",
    "agent-framework-core",
)  # fmt: skip
"""Libraries whose model calls are seen on the wire, and which have no adapter."""
TESTED = {
    "agent-framework-core": "1.23.0", "anthropic": "0.125.0", "autogen-agentchat": "0.7.5", "crewai": "1.15.30",
    "dspy": "3.4.1", "google-genai": "3.4.0", "haystack-ai": "3.4.1", "langchain-core": "1.7.2", "litellm": "1.110.2",
    "llama-index-core": "0.14.25", "mcp": "1.30.0", "openai": "2.54.0", "openai-agents": "0.24.0",
    "opentelemetry-sdk": "1.45.1", "pydantic-ai-slim": "2.68.0", "smolagents": "1.26.0", "strands-agents": "1.62.0",
}  # fmt: skip
"""The oldest versions that the tests run."""

_QUIET = {"CREWAI_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "true"}
_PATIENCE = 120


def findings() -> Iterator[Finding]:
    """Yield what is recorded here, a fact for each library that is installed."""
    yield _start()
    adapters = [adapter for adapter in frameworks.ADAPTERS if version(adapter.distribution)]
    tried = _try(adapters)
    yield _wire(tried)
    about = "records"
    for name in BY_THE_WIRE:
        if found := version(name):
            yield Finding(about, f"{name} {found}, by the wire{_age(name, found)}")
            about = ""
    for adapter in adapters:
        yield _framework(about, adapter, tried)
        about = ""
    if about:
        yield Finding(about, "whatever uses these; no library that is known is installed here")


def _start() -> Finding:
    folders = (*site.getsitepackages(), site.getusersitepackages())
    is_there = any(Path(folder, "peaky_peek.pth").exists() for folder in folders)
    place = "peaky_peek.pth is in place" if is_there else "no peaky_peek.pth here: `jupyter peek run` starts programs"
    value = os.environ.get(autopatch.VARIABLE)
    if autopatch.is_asked():
        return Finding("start", f"{place}; {autopatch.VARIABLE}={value} records every program that begins here")
    return Finding(
        "start", f"{place}; {autopatch.VARIABLE} is {value or 'not set'}: programs record when they ask for it"
    )


def _wire(tried: dict[str, str | None]) -> Finding:
    found = [f"{name} {installed}" for name in HTTP if (installed := version(name))]
    if not found:
        return Finding("wire", f"none of {', '.join(HTTP)} is installed: there are no model calls to see")
    problem = tried.get("wire")
    fact = f"model calls through {', '.join(found)}"
    return Finding("wire", fact, problem and f"Peaky Peek does not know this version of the HTTP client: {problem}.")


def _framework(about: str, adapter: Adapter, tried: dict[str, str | None]) -> Finding:
    installed = version(adapter.distribution) or ""
    age = _age(adapter.distribution, installed)
    shown = f"{adapter.name} ({adapter.distribution} {installed})"
    named = autopatch.named()
    if named is not None and adapter.module not in named:
        return Finding(about, f"{shown}, by the wire only: {autopatch.VARIABLE} does not name it{age}")
    if problem := tried.get(adapter.module, "it cannot be tried"):
        sentence = f"Of {adapter.name} only the model calls are recorded: {problem}."
        return Finding(about, f"{shown}, by the wire only{age}", sentence)
    return Finding(about, f"{shown}, by {adapter.hook}{age}")


def _age(distribution: str, found: str) -> str:
    tested = TESTED.get(distribution)
    return f"; older than {tested}, which is tested" if tested and _ordered(found) < _ordered(tested) else ""


def _ordered(version: str) -> tuple[int, ...]:
    """Return the numbers of a version.

    >>> _ordered("1.15.30rc1") > _ordered("1.9")
    True
    """
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def _try(adapters: list[Adapter]) -> dict[str, str | None]:
    """Install every hook in a process of its own, and return what is wrong, by the module of the adapter."""
    command = [sys.executable, "-m", __name__, *(adapter.module for adapter in adapters)]
    try:
        ran = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=_PATIENCE, env=os.environ | _QUIET, check=False
        )
        problems: dict[str, str | None] = json.loads(ran.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, OSError, ValueError, IndexError):
        return {}
    return problems


def _tried(modules: list[str]) -> dict[str, str | None]:
    """Return what is wrong with the hooks into the wire and into these frameworks, as imported here and now."""
    from contextlib import suppress
    from importlib import import_module

    from peaky_peek.capture import transport

    transport.install()
    for name in HTTP:
        with suppress(ImportError):
            import_module(name)
    problems: dict[str, str | None] = {"wire": ", ".join(f"{name} is missing" for name in transport.missing()) or None}
    for adapter in frameworks.ADAPTERS:
        if adapter.module in modules:
            frameworks.install(frozenset({adapter.module}))
            try:
                import_module(adapter.after)
            except Exception as error:  # noqa: BLE001 - whatever it was, it is told
                problems[adapter.module] = f"{type(error).__name__}: {error}"
            else:
                problems[adapter.module] = adapter.problem
    return problems


if __name__ == "__main__":
    print(json.dumps(_tried(sys.argv[1:])))  # noqa: T201
