"""The hook itself: whom it reaches, whom it leaves alone, and that the application never notices."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import httpx
import httpx2
import pytest
from openai import OpenAI

import peaky_peek as pp
from peaky_peek.capture import transport
from peaky_peek.store import Database
from tests.loopback import Loopback, message, stream
from tests.wire.calls import ASK, ask, attempts, events


def test_clients_made_before_and_after_the_hook_are_recorded_alike(store: Database, server: Loopback) -> None:
    transport.uninstall()
    with OpenAI(base_url=server.url, api_key="test") as before:
        bound = before.chat.completions.create
        transport.install()
        transport.install()
        with OpenAI(base_url=server.url, api_key="test") as after:
            server.answer(message("one"), message("two"))
            bound(model="gpt-4o-mini", messages=ASK)
            ask(after)
    assert [response.content for response in events(store, "llm_response")] == ["one", "two"]


def test_a_library_imported_after_the_hook_is_patched_when_it_comes() -> None:
    code = """
import sys
import peaky_peek as pp
from peaky_peek.capture import transport

pp.init()
assert not {"httpx", "httpx2"} & sys.modules.keys()
import httpx, httpx2

before, patched = httpx.Client.send, transport._patches.applied
assert all((client, "send") in patched for m in (httpx, httpx2) for client in (m.Client, m.AsyncClient))
pp.uninstall()
assert httpx.Client.send is not before and not patched
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_chunks_come_one_by_one_as_the_server_sends_them(store: Database, server: Loopback, client: OpenAI) -> None:
    gate = threading.Event()
    server.answer(stream("now", "later", gate=gate))
    answer = iter(ask(client, stream=True))
    assert next(answer).choices[0].delta.content == "now"  # while the server holds back the rest
    gate.set()
    assert [chunk.choices[0].delta.content for chunk in answer] == ["later", None]


def test_raw_and_streaming_responses_are_what_they_were(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(*[message("same") for _ in range(4)])

    def look() -> tuple[Any, ...]:
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=ASK)
        with client.chat.completions.with_streaming_response.create(model="gpt-4o-mini", messages=ASK) as streaming:
            body = streaming.read()
            assert streaming.http_response.elapsed is not None
        return raw.status_code, raw.text, raw.parse(), body

    watched = look()
    transport.uninstall()
    assert look() == watched
    assert [response.content for response in events(store, "llm_response")] == ["same", "same"]


def test_requests_that_are_no_model_calls_pass_untouched(store: Database, server: Loopback) -> None:
    server.answer(*[message("x") for _ in range(4)])
    with httpx2.Client() as client, client.stream("POST", f"{server.url}/files", json={"messages": []}) as response:
        assert type(response.stream).__module__.startswith("httpx2")
        response.read()
    with httpx2.Client() as client:
        client.get(f"{server.url}/chat/completions")
        client.post(f"{server.url}/chat/completions", content=b"not json, but messages")
        client.post(f"{server.url}/chat/completions", content=iter([b'{"messages": []}']))
    assert attempts(store) == []
    assert store.connection().execute("SELECT count(*) FROM sessions").fetchone() == (0,)


def test_nothing_is_recorded_while_recording_is_paused(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(message("unheard"))
    with pp.pause():
        assert ask(client).choices[0].message.content == "unheard"
    assert attempts(store) == []


def test_uninstalling_puts_every_method_back() -> None:
    transport.uninstall()
    classes = [module_class for module in (httpx, httpx2) for module_class in (module.Client, module.AsyncClient)]
    before = [each.__dict__["send"] for each in classes]
    finders = list(sys.meta_path)
    transport.install()
    assert [each.__dict__["send"] for each in classes] != before
    transport.uninstall()
    assert [each.__dict__["send"] for each in classes] == before
    assert sys.meta_path == finders


def test_a_patch_of_another_tool_on_top_of_ours_survives_uninstalling(
    store: Database, server: Loopback, client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, seen = httpx2.Client.send, []

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(1)
        return ours(self, *args, **kwargs)

    monkeypatch.setattr(httpx2.Client, "send", theirs)
    transport.uninstall()
    server.answer(message("unrecorded"), message("recorded"))
    ask(client)
    transport.install()
    ask(client)
    assert len(seen) == 2
    assert [response.content for response in events(store, "llm_response")] == ["recorded"]
