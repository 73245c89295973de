"""The SDK as it is used, recorded, with its exporter switched off, and models that ask the server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from agents import Model, OpenAIChatCompletionsModel, OpenAIResponsesModel, set_trace_processors
from openai import AsyncOpenAI

from peaky_peek.capture import frameworks
from tests.loopback import Loopback


@pytest.fixture(autouse=True)
def adapter(hook: None) -> Iterator[None]:
    frameworks.install(frozenset({"openai_agents"}))
    set_trace_processors([])  # the SDK's own exporter would send the spans to OpenAI
    yield
    frameworks.uninstall()


@pytest.fixture
async def client(server: Loopback) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.url, api_key="test") as client:
        yield client


@pytest.fixture
def model(client: AsyncOpenAI) -> OpenAIResponsesModel:
    return OpenAIResponsesModel("gpt-4o-mini", client)


@pytest.fixture
def chat(client: AsyncOpenAI) -> OpenAIChatCompletionsModel:
    return OpenAIChatCompletionsModel("gpt-4o-mini", client)


@pytest.fixture
def models(model: Any, chat: Any) -> dict[str, Model]:
    return {"responses": model, "chat": chat}
