"""What agents run on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.loopback import Loopback


@pytest.fixture
def model(server: Loopback) -> Any:
    """A chat model of PydanticAI."""
    from tests.frameworks.pydantic_agents import chat

    return chat(server)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """What synchronous runs go on; PydanticAI makes one that it never closes."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()
