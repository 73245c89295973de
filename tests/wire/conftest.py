"""A hooked process, a server on loopback, and the real SDK."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from peaky_peek.capture import transport
from peaky_peek.store import Database
from tests.loopback import Loopback


@pytest.fixture(autouse=True)
def hook(store: Database) -> Iterator[None]:
    transport.install()
    yield
    transport.uninstall()


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


@pytest.fixture
def client(server: Loopback) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        yield client
