"""What the tests of the frameworks stand on, in either environment: a hooked process, a model server, no network."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peaky_peek.capture import autopatch
from peaky_peek.store import Database
from tests.frameworks.quiet import QUIET
from tests.loopback import Loopback

_HOME = tempfile.TemporaryDirectory(prefix="peaky-peek-frameworks-")
os.environ |= QUIET | {
    "CREWAI_STORAGE_DIR": str(Path(_HOME.name) / "crewai"),
    "DSPY_CACHEDIR": str(Path(_HOME.name) / "dspy"),
}
for _name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "OTEL_SDK_DISABLED"):
    os.environ.pop(_name, None)

_THEIR_OWN = (
    "ignore:Items .* on TypedDict class:UserWarning:pydantic",
    "ignore:Cannot set an attribute on 'crewai:ImportWarning",
    "ignore::DeprecationWarning:crewai",
    "ignore:is_running called from within a step:DeprecationWarning",
    "ignore:unclosed (<socket|transport):ResourceWarning",
    "ignore::pydantic.warnings.PydanticDeprecationWarning",
)
"""Warnings that frameworks raise at themselves, or earn by leaving their clients to the garbage collector."""
attempts: list[str] = []
"""Where to somebody wanted to connect."""


def _is_here(host: Any) -> bool:
    host = host.decode() if isinstance(host, bytes) else host
    if host in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_the_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None  # else a socket in the file system
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not _is_here(host):
        attempts.append(f"{event} {host}")
        raise OSError(f"The tests ask the network for nothing: {event} {host}")


sys.addaudithook(_refuse_the_network)


def pytest_configure(config: pytest.Config) -> None:
    """Every warning is an error here too, except these."""
    for line in _THEIR_OWN:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Fails the test, or the imports before it, that opened a socket to anything but this machine."""
    yield
    wanted, attempts[:] = attempts[:], []
    assert not wanted


@pytest.fixture(autouse=True)
def hook(store: Database) -> Iterator[None]:
    autopatch.install()
    yield
    autopatch.uninstall()


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server
