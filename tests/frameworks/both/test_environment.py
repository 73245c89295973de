"""The environment itself: today's versions, no network, and the SDK is recorded in it, whichever client it uses."""

from __future__ import annotations

import socket

import pytest
from openai import OpenAI

import peaky_peek as pp
from tests.frameworks import conftest, environments, versions
from tests.loopback import Loopback, message

HTTP_CLIENT = {"a": "httpx2", "b": "httpx"}


def test_what_is_tested_are_the_versions_that_are_asked_for() -> None:
    wanted = versions.wanted(environments.current())
    assert versions.installed(*wanted) == wanted
    assert versions.locked(environments.current()).items() >= wanted.items()


def test_the_network_is_out_of_reach() -> None:
    with pytest.raises(OSError, match="ask the network for nothing"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    assert len(conftest.attempts) == 1
    conftest.attempts.clear()


def test_a_call_of_the_sdk_is_one_pair_of_events(server: Loopback) -> None:
    server.answer(message("Hello!"))
    with OpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}])
        libraries = {kind.__module__.partition(".")[0] for kind in type(client._client).__mro__}
        assert HTTP_CLIENT[environments.current()] in libraries
    assert pp.events().event_type.tolist() == ["llm_request", "llm_response"]
    assert pp.llm_calls().iloc[0].content == "Hello!"
