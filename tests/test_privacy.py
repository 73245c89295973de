"""Credentials of every kind are planted wherever an agent can put them; what is kept and shown has none of them."""

from __future__ import annotations

import itertools
import json
import linecache
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import peaky_peek as pp
from peaky_peek.capture import faults
from peaky_peek.capture.context import CURRENT
from peaky_peek.capture.recorder import recorder
from peaky_peek.capture.verbs import emit
from peaky_peek.events import EVENT_CLASSES, ToolCall
from peaky_peek.store import Database, exchanges, reader
from peaky_peek.widgets import _wire
from tests import loopback, planted
from tests.loopback import Loopback
from tests.notebook import notebook
from tests.planted import LOGIN, PASSWORD, SECRETS, TEXT, left_in


def stored(store: Database) -> list[bytes]:
    """Everything that the store and its journals keep, as it lies on the disk and with what is packed unpacked."""
    store.ingest()
    connection = store.connection()
    key = Path(f"{store.path}.key")
    kept = [path.read_bytes() for path in store.path.parent.rglob("*") if path.is_file() and path != key]
    kept += [str(path).encode() for path in store.path.parent.rglob("*")]
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for row in connection.execute(f"SELECT * FROM {table}").fetchall():
            kept += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    for (exchange_id,) in connection.execute("SELECT exchange_id FROM exchanges").fetchall():
        exchange = exchanges.load(connection, exchange_id)
        assert exchange is not None
        kept += [exchange.request, exchange.response, repr(exchange).encode()]
    return kept


def shown(store: Database, folder: Path) -> list[bytes | str]:
    """Everything that is given out: frames, readable views, what a widget sends and saves, exported pages."""
    frames = [pp.sessions(), pp.events(pp.ALL, data=True)]
    frames += [frame(pp.ALL) for frame in (pp.llm_calls, pp.tool_calls, pp.decisions, pp.messages)]
    texts: list[bytes | str] = [repr(pp.status()), *(repr(frame.to_dict("records")) for frame in frames)]
    ids = pp.sessions().session_id.tolist()
    texts += [pp.session(session_id)._repr_html_() for session_id in ids]
    for session_id in {*ids[:2], ids[-1]}:
        texts += [event._repr_html_() for event in reader.read_events(store, session_id)]
        tree = pp.tree(session_id)
        texts += [repr(tree), repr(tree.get_state(drop_defaults=True)), repr(tree._repr_mimebundle_())]
        texts.append(tree.to_html(folder / "page.html").read_text())
        requests = [{"type": "hello", "version": _wire.VERSION}, {"type": "previews", "start": 0, "stop": 10_000}]
        requests += [{"type": "details", "row": row} for row in range(len(tree._recording))]
        for content, buffers in itertools.chain.from_iterable(map(tree._answer, requests)):
            texts += [repr(content), *(bytes(buffer) for buffer in buffers)]
    return texts


@pytest.fixture
def nothing_left(store: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]):
    """Looks everywhere, at the end of the test."""
    caplog.set_level(logging.DEBUG)
    yield store
    kept = stored(store)
    assert any(b"[redacted:" in text for text in kept)
    assert set().union(*map(left_in, kept)) == set()
    (tmp_path / "pages").mkdir()
    assert set().union(*map(left_in, shown(store, tmp_path / "pages"))) == set()
    assert Path(f"{store.path}.key").read_bytes() not in (tmp_path / "pages" / "page.html").read_bytes()
    said = capfd.readouterr()
    assert not left_in(caplog.text + said.err + said.out + repr(faults.counts))
    assert store.connection().execute("SELECT reason FROM unreadable").fetchall() == []


def test_there_are_at_least_sixty_kinds() -> None:
    assert len({kind for kind, _ in SECRETS}) >= 60
    assert all(left_in(secret) for secret in [PASSWORD, LOGIN, *(secret for _, secret in SECRETS)])


ANY = set(
    """input output messages tools settings content tool_calls arguments result chosen_action alternatives evidence
    state memory details policy_parameters original_value restored_value""".split()
)
"""The typed fields that hold more than text."""
NUMBERS = {"confidence", "cost_usd", "usage", "time_to_first_token_ms", "turn_index", "complete", "stream"}


def test_no_field_of_any_event_keeps_a_credential(nothing_left: Database) -> None:
    parts = itertools.cycle(planted.value().values())
    with pp.trace_session("agent"):
        for cls in EVENT_CLASSES.values():
            names = [name for name in cls.typed_fields if name not in NUMBERS]
            common = {"name": TEXT, "agent": TEXT, "status": TEXT, "data": {"a": next(parts)}}
            common["metadata"] = {"b": next(parts)}
            emit(cls, CURRENT.get(), common, dict.fromkeys(names, TEXT))
            typed = {name: [next(parts)] if name in ANY else TEXT for name in names}
            emit(cls, CURRENT.get(), {"data": {"all": next(parts)}}, typed)
        for _, secret in SECRETS:
            own = {"id": f"event {secret}", "parent_id": secret, "upstream_event_ids": [secret, f"event {secret}"]}
            emit(ToolCall, CURRENT.get(), own, {"tool_name": secret, "call_id": secret, "arguments": {secret: secret}})


def test_no_column_of_a_session_keeps_a_credential(nothing_left: Database) -> None:
    value = planted.value()
    described = {"framework": TEXT, "task": TEXT, "version": TEXT, "tags": SECRETS[0] + SECRETS[-1], "thread": TEXT}
    for _, secret in SECRETS:
        with pp.trace_session(secret, session_id=secret, input=secret, tags=[secret]) as ctx:
            ctx.outcome(secret, note=secret)
    with pp.trace_session(TEXT, input=value, code=TEXT, **described) as ctx:
        ctx.output = value
        ctx.checkpoint(value, label=TEXT, memory=value)
        ctx.outcome(TEXT, note=TEXT)
    pp.label(ctx, outcome=TEXT, tags=[TEXT], note=TEXT)
    assert pp.session(ctx).status == "completed"


def test_a_session_is_found_by_the_id_that_its_caller_gave(store: Database) -> None:
    secret = SECRETS[0][1]
    with pp.trace_session("chat", session_id=f"user {secret}") as first:
        first.record_decision("one")
    with pp.trace_session("chat", session_id=f"user {secret}") as second:
        second.record_decision("two")
    assert pp.events(first).event_type.tolist() == ["agent_start", "decision", "agent_end"]
    assert second.session_id == f"{first.session_id}#2"


def test_no_exception_keeps_a_credential(nothing_left: Database) -> None:
    def call(secret: str) -> None:
        try:
            {}[secret]
        except KeyError as error:
            error.add_note(f"with {secret}")
            inner = [ValueError(secret), OSError(2, "no", f"/tmp/{secret}")]
            raise ExceptionGroup(f"all of {secret}", inner) from error

    tool = pp.tool(call)
    for _, secret in SECRETS:
        with pytest.raises(ExceptionGroup), pp.trace_session("fails"):
            tool(secret)
    code = f"def fail(client):\n    client.log_in('{SECRETS[0][1]}')  # {SECRETS[1][1]}\nfail(None)\n"
    linecache.cache["<cell>"] = (len(code), None, code.splitlines(keepends=True), "<cell>")
    with pytest.raises(AttributeError), pp.trace_session("fails"):
        exec(compile(code, "<cell>", "exec"), {})
    assert "client.log_in" in pp.events("fails", types="error", data=True).data[0]["stack_trace"]


def test_no_decorated_function_keeps_a_credential(nothing_left: Database, tmp_path: Path) -> None:
    source = "import peaky_peek as pp\n"
    for number, (kind, secret) in enumerate(SECRETS):
        literal, how = repr(secret), ("trace", "tool", "llm()")[number % 3]
        source += f"""
@pp.{how}
def f{number}(a, *rest, password='x', **more):
    password = {literal}
    # {kind}: key={secret.splitlines()[-1]}
    return {{'a': a, 'b': {literal}, 'password': password}}
f{number}({literal}, {literal}, password={PASSWORD!r}, token={literal})
"""
    path = tmp_path / "agents.py"
    path.write_text(source)
    exec(compile(source, str(path), "exec"), {})
    path.unlink()
    codes = [data["code"] for data in pp.events(pp.ALL, types="agent_start", data=True).data if data["code"]]
    assert len(codes) > 20


def test_no_name_of_a_file_is_kept_with_a_credential(nothing_left: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [secret for _, secret in SECRETS if "/" not in secret]
    monkeypatch.setattr("__main__.__spec__", None, raising=False)  # these tests may run as a module
    for name in names:
        monkeypatch.setattr("sys.argv", [f"/home/me/{name}.py"])
        pp.tool(len)([])
        pp.capture.context.end_all()
    assert len(pp.sessions()) == len(names)


def test_streamed_text_is_clean_however_an_agent_cuts_it(nothing_left: Database) -> None:
    @pp.trace
    def agent(text: str, size: int) -> Any:
        yield from (text[at : at + size] for at in range(0, len(text), size))

    @pp.llm(model="m")
    def model(text: str, size: int) -> Any:
        yield from (text[at : at + size] for at in range(0, len(text), size))

    for number, (_, secret) in enumerate(SECRETS):
        text = f"It is {secret}, keep it."
        for function in (agent, model):
            assert "".join(function(text, 1 + number % 9)) == text
    assert "".join(pp.sessions().output.iloc[0]).startswith("It is [redacted:openai:")


def test_no_loaded_transcript_keeps_a_credential(nothing_left: Database, tmp_path: Path) -> None:
    runs = []
    for number, (_, secret) in enumerate([*SECRETS, ("", f"password: {PASSWORD}")]):
        arguments = json.dumps({"key": secret, "password": PASSWORD})
        call = {"id": secret, "type": "function", "function": {"name": "f", "arguments": arguments}}
        said = [{"role": "user", "content": secret}, {"role": "assistant", "content": None, "tool_calls": [call]}]
        said += [{"role": "tool", "tool_call_id": secret, "content": arguments}]
        facts = {"id": f"{number} {secret}", "task": secret, "note": secret, "other": {secret: 1}}
        runs.append({**facts, "messages": said})
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join(map(json.dumps, runs)))
    assert len(pp.load(path)) == len(runs)
    path.unlink()
    assert len(pp.load(runs)) == len(runs)
    assert len(pp.sessions()) == len(runs)


def test_our_own_faults_tell_no_credential(nothing_left: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "strict", False)
    monkeypatch.setattr(faults, "counts", type(faults.counts)())
    with pp.trace_session("agent") as ctx, monkeypatch.context() as broken:
        ctx.record_decision(SECRETS[0][1])
        for _, secret in SECRETS:
            broken.setattr(recorder()._journal, "append", lambda _, secret=secret: int(secret))
            ctx.record_decision("lost")
    assert pp.status()["lost"] == len(SECRETS)
    assert sum(pp.status()["faults"].values()) == len(SECRETS)


@pytest.mark.parametrize("size", [1000, 1010, 1023])
def test_what_is_cut_is_cut_after_it_was_cleaned(store: Database, size: int) -> None:
    pp.init(db=store.path, max_payload_kb=1)
    with pp.trace_session("cut") as ctx:
        for _, secret in SECRETS:
            ctx.record_tool_result("read", result={"text": "x" * size, "password": secret, "more": "y" * 2000})
            ctx.record_tool_result("read", result="x" * (size - 10) + f" {secret} " + "y" * 2000)
    halves = {secret.encode()[:14] for _, secret in SECRETS if not secret.startswith(("-----", "https"))}
    assert not [half for half in halves for text in stored(store) if half in text]


KEY = "sk-proj-" + planted.rand(100)


@pytest.fixture
def openai() -> Iterator[tuple[Any, Loopback]]:
    """A client of OpenAI's SDK with a key, and the server that it talks to."""
    from openai import OpenAI

    pp.init(db=pp.store.current().path)
    with Loopback() as server, OpenAI(base_url=server.url, api_key=KEY, max_retries=0) as client:
        yield client, server
    pp.uninstall()


def test_no_exchange_keeps_a_credential(nothing_left: Database, openai: tuple[Any, Loopback]) -> None:
    client, server = openai
    with pp.trace_session("agent"):
        messages: list[dict[str, Any]] = []
        for number, (_, secret) in enumerate(SECRETS):
            messages = messages if number % 8 else [{"role": "system", "content": secret}]
            call = loopback.tool_call(secret, "f", key=secret, password=PASSWORD)
            messages += [{"role": "user", "content": f"Use {secret} with password: {PASSWORD}"}]
            answer = loopback.message(secret, tool_calls=[call], model=secret, usage={"prompt_tokens": 1, "of": secret})
            answer.headers |= {"x-request-id": secret.split("\n")[0], "set-cookie": "a=b", "x-other": "c"}
            server.answer(answer)
            client.chat.completions.create(
                model="m", messages=messages, user=secret, extra_query={"key": secret, "api-version": "1"},
                extra_headers={"openai-beta": secret.split("\n")[0], "x-api-key": PASSWORD, "cookie": PASSWORD},
            )  # fmt: skip
            messages += [{"role": "assistant", "tool_calls": [call], "content": None}]
            messages += [{"role": "tool", "tool_call_id": secret, "content": json.dumps({"password": PASSWORD})}]
    assert pp.sessions().llm_calls.tolist() == [len(SECRETS)]


def test_no_failure_of_a_model_call_keeps_a_credential(nothing_left: Database, openai: tuple[Any, Loopback]) -> None:
    import httpx2
    from openai import APIError

    client, server = openai
    broken = {"headers": {"content-type": "text/html"}, "breaks_off": True}
    for number, (_, secret) in enumerate(SECRETS):
        replies = [
            loopback.error(401, secret, f"Incorrect API key provided: {secret}"),
            loopback.Reply([secret.encode()], 500),
            loopback.Reply([f"<p>{secret}".encode()], **broken),
        ]
        server.answer(replies[number % 3])
        with pytest.raises((APIError, httpx2.HTTPError)), pp.trace_session("agent"):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert (pp.sessions().status == "failed").all()


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def test_no_stream_keeps_a_credential_wherever_it_is_cut(nothing_left: Database, openai: tuple[Any, Loopback]) -> None:
    client, server = openai
    with pp.trace_session("agent"):
        for number, (_, secret) in enumerate(SECRETS):
            said = f"It is {secret}, keep it."
            server.answer(loopback.stream(*pieces(said, 1 + number % 9)))
            assert "".join(streamed(client)) == said
        for at in range(1, len(KEY), 7):
            server.answer(loopback.stream(f"It is {KEY[:at]}", f"{KEY[at:]}, keep it."))
            assert "".join(streamed(client)) == f"It is {KEY}, keep it."
    texts = pp.messages("agent").content[pp.messages("agent").role == "assistant"]
    assert texts.str.fullmatch(r"It is (https://)?(\d+:)?\[redacted:\S+\](, )?keep it\.").all()


def streamed(client: Any) -> list[str]:
    chunks = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True)
    return [chunk.choices[0].delta.content or "" for chunk in chunks]


def test_no_stream_of_several_answers_at_once_keeps_a_credential(
    nothing_left: Database, openai: tuple[Any, Loopback]
) -> None:
    """Four choices, each a text and a tool call, take turns: what belongs together stands apart."""
    client, server = openai
    secrets = [secret for _, secret in SECRETS]
    with pp.trace_session("agent"):
        for texts in zip(*[iter(secrets)] * 4, strict=False):
            lanes = [pieces(f"a {text} b", 5) for text in texts]
            lanes += [pieces(json.dumps({"password": PASSWORD, "key": text}), 4) for text in texts]
            deltas = []
            for row in itertools.zip_longest(*lanes):
                for lane, piece in enumerate(row):
                    said = {"content": piece} if lane < 4 else {"tool_calls": [asked(lane % 2, piece)]}
                    deltas += [{"choices": [{"index": 7 - lane % 4, "delta": said}]}] if piece else []
            lines = [b"data: " + json.dumps(delta).encode() + b"\n\n" for delta in deltas]
            events = {"content-type": "text/event-stream"}
            server.answer(loopback.Reply([*lines, b"data: [DONE]\n\n"], headers=events))
            streamed(client)


def asked(index: int, arguments: str) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments}}


def test_no_cell_of_a_notebook_keeps_a_credential(tmp_path: Path) -> None:
    secrets = [secret for _, secret in SECRETS if "\n" not in secret]
    source = "".join(f"key_{number} = {secret!r}  # {secret}\n" for number, secret in enumerate(secrets))
    with notebook(tmp_path) as kernel:
        kernel.run("%load_ext peaky_peek\nimport peaky_peek as pp")
        kernel.run(f"%%peek {secrets[0]}\n{source}")
        kernel.run(f"{source}@pp.tool\ndef f(key):\n    return [key, {secrets[1]!r}]\nf(key_2)")
        kernel.run(f"{source}pp.tool(f)(key_3)\nraise ValueError(key_4)")
        assert len(kernel.sessions()) == 3
        shown = kernel.run("pp.tree(1)")
        kept = [path.read_bytes() for path in tmp_path.rglob("kernel.db*") if path.is_file() and path.suffix != ".key"]
        kept += [path.read_bytes() for path in tmp_path.rglob("*.jnl")]
        kept.append(repr([shown.outputs, shown.messages]).encode())
    assert any(b"[redacted:" in text for text in kept)
    assert set().union(*map(left_in, kept)) == set()
