"""`redact=`: personal data, patterns and functions of the user's own, and nothing at all."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek import encoding
from peaky_peek.capture import control, faults
from peaky_peek.capture.redaction import Redactor, personal
from peaky_peek.capture.redaction.choice import redactor_for
from peaky_peek.capture.redaction.custom import CustomRedactor
from peaky_peek.store import Database, exchanges
from tests import loopback
from tests.loopback import Loopback

VALID = {
    "email": ["ann.o'neil+x@mail.example.co.uk", "müller@bücher.example", "a@b.de"],
    "card": ["4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "6011111111111117", "2223003122003222"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "FR14 2004 1010 0505 0001 3M02 606"],
    "ip": ["203.0.113.7", "10.1.2.3", "2001:db8::8a2e:370:7334", "2001:db8:0:0:0:0:0:42"],
    "phone": ["+49 170 1234567", "+1 (555) 123-4567", "(555) 123-4567", "555-123-4567", "030/123456", "01 23 45 67 89"],
    "national-id": [
        "078-05-1120", "AB123456C", "12345678Z", "X-1234567-L", "RSSMRA85T10A562S", "86 095 742 719",
        "1 84 12 76 451 089 46", "529.982.247-25", "2341 2341 2346",
    ],
}  # fmt: skip
WRONG = """4111 1111 1111 1112|9111111111111111|DE88 3704 0044 0532 0130 00|300.1.2.3|127.0.0.1|1.2.3.4.5|12:34:56|::1
000-12-3456|987-65-4321|BG123456C|12345678A|RSSMRA85T10A562T|86 095 742 718|1 84 12 76 451 089 47|529.982.247-26
2341 2341 2347|111.111.111-11|2024-01-02|2024-01-02T03:04:05.678901|0199b1c2-8f3a-7c41-9d55-0123456789ab|call_12345678
max_tokens=4096|$1,234.56|order 10248|git@v1|@decorator|a[1:2]|std::vector|1793000000000000|python 3.11.4""".replace(
    "\n", "|"
).split("|")


def thorough(*wishes: Any) -> Redactor:
    return redactor_for(list(wishes), key=lambda: b"k")


def clean(redactor: Redactor, value: Any) -> Any:
    return encoding.decode(redactor.clean(encoding.encode(value)))


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in VALID.items() for text in texts])
def test_personal_data_is_replaced_wherever_it_stands(kind: str, text: str) -> None:
    value = {
        "plain": text, "sentence": f"It is {text}, or so.", "lines": f"a\n{text}\nb",
        text + " ": "as a key", "list": [[text]],
        "json": json.dumps({"inner": json.dumps({"deep": f"x\n{text}\ty"})}), "bytes": f"<{text}>".encode(),
        "surrogate": f"\ud800 {text}", "mixed": {1: text}, "tagged": {"__peek__": "int", "value": text},
    }  # fmt: skip
    cleaned = clean(thorough("pii"), value)
    assert text not in repr(cleaned)
    assert re.fullmatch(rf"It is \[redacted:{kind}:[0-9a-f]{{8}}\], or so\.", cleaned["sentence"])
    assert json.loads(json.loads(cleaned["json"])["inner"])["deep"].startswith("x\n[redacted:")
    assert cleaned["plain"] in cleaned["sentence"]
    assert clean(thorough("pii"), cleaned) == cleaned
    assert clean(thorough("secrets"), value) == value


@pytest.mark.parametrize("text", WRONG)
def test_what_fails_its_check_or_only_looks_like_it_stays(text: str) -> None:
    assert [*personal.find(text, 0, len(text))] == []
    assert clean(thorough("pii"), {"text": f"see {text} there"}) == {"text": f"see {text} there"}


def test_card_numbers_are_found_as_numbers_too() -> None:
    value = {"card": 4111111111111111, "position": 1882983552378732544, "list": [4111111111111112, 1.4111111111111111]}
    cleaned = clean(thorough("pii"), value)
    assert cleaned == value | {"card": cleaned["card"]}
    assert cleaned["card"].startswith("[redacted:card:")


def json_or_text(value: Any) -> str:
    try:
        return json.dumps(value)
    except TypeError:
        return repr(value)


TEXT = st.text(max_size=40) | st.sampled_from([text for texts in VALID.values() for text in texts])
VALUES = st.recursive(
    st.none() | st.integers() | st.floats() | TEXT | st.binary(max_size=20) | st.datetimes() | TEXT.map(str.encode),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4) | inner.map(json_or_text),
    max_leaves=12,
)


OWN = [
    re.compile("ACME-[0-9]+"),
    re.compile(r"\d+"),
    re.compile("[a-f]+"),
    re.compile("^.*$"),
    re.compile(r"(?<!x)a|b(?!c)"),
]


@given(VALUES, st.lists(st.sampled_from(["pii", *OWN]), min_size=1, max_size=3))
def test_whatever_is_replaced_json_stays_json_and_doing_it_again_changes_nothing(value: Any, wishes: list[Any]) -> None:
    redactor = thorough(*wishes)
    encoded = encoding.encode({"value": value})
    once = redactor.clean(encoded)
    assert shape(orjson.loads(once)) == shape(orjson.loads(encoded))
    encoding.decode(once)
    assert redactor.clean(once) == once
    assert "redacted" not in repr(value) or once


def shape(value: Any) -> Any:
    """What is left of a value when texts are all the same; a card among the numbers may become one."""
    if isinstance(value, dict):
        return [shape(item) for item in value.values()]
    return [shape(item) for item in value] if isinstance(value, list) else type(value) not in (dict, list)


def test_equal_data_stays_equal_in_all_places() -> None:
    cleaned = clean(thorough("pii"), {"a": "ann@example.com", "b": "to ann@example.com", "c": "bob@example.com"})
    assert cleaned["b"] == f"to {cleaned['a']}"
    assert cleaned["c"] != cleaned["a"]


@pytest.mark.parametrize(
    "wrong", ["secret", [], ["pii", None], re.compile(b"x"), 3, ["pii", "mail"], {"a": 1}], ids=repr
)
def test_what_redact_cannot_be_is_said_in_a_sentence(store: Database, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r'^redact is "secrets", "pii", a compiled pattern.*, not .*\.$'):
        pp.init(db=store.path, redact=wrong)


def everything(store: Database) -> str:
    store.ingest()
    connection = store.connection()
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    rows = [row for table in tables for row in connection.execute(f"SELECT * FROM {table}").fetchall()]
    ids = [row[0] for row in connection.execute("SELECT exchange_id FROM exchanges").fetchall()]
    loaded = [exchanges.load(connection, one) for one in ids]
    journals = [path.read_bytes() for folder in store.journal_folders for path in folder.glob("*")]
    return repr([rows, loaded, journals])


@pytest.fixture
def openai() -> Iterator[tuple[Any, Loopback]]:
    from openai import OpenAI

    with Loopback() as server, OpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        yield client, server
    pp.uninstall()


@pytest.mark.parametrize(
    ("redact", "word"),
    [
        ("pii", "ann@example.com"),
        (re.compile("ACME-[0-9]+"), "ACME-4711"),
        (["secrets", re.compile("(?i)project falcon")], "Project Falcon"),
        (lambda text: text.replace("Waldo", "somebody"), "Waldo"),
        (["pii", re.compile("never"), lambda text: re.sub("Wal(do)?", "somebody", text)], "Waldo"),
    ],
    ids=["pii", "pattern", "list", "function", "all"],
)
def test_it_holds_in_sessions_events_and_exchanges_wherever_a_stream_is_cut(
    store: Database, openai: tuple[Any, Loopback], redact: Any, word: str
) -> None:
    client, server = openai
    pp.init(db=store.path, redact=redact)
    messages = [{"role": "user", "content": f"Who is {word}?"}]
    is_function = "Waldo" in word
    session_id = "visit" if is_function else f"visit of {word}"
    with pp.trace_session(word, session_id=session_id, input={"who": word}, task=word, tags=[word]) as ctx:
        for at in range(1, len(word)):
            server.answer(loopback.stream(f"It is {word[:at]}", f"{word[at:]}, I think."))
            said = client.chat.completions.create(model="m", messages=messages, stream=True)
            text = "".join(chunk.choices[0].delta.content or "" for chunk in said)
            assert text == f"It is {word}, I think."
            messages += [{"role": "assistant", "content": text}, {"role": "user", "content": f"And {word}, {at}?"}]
        call = loopback.tool_call("call_1", "find", who=word, more=[{"who": f"a\n{word}"}])
        server.answer(loopback.message(f"I ask {word}", tool_calls=[call]))
        client.chat.completions.create(model="m", messages=messages, user=word)
        ctx.record_tool_call(word, {"who": word, "json": json.dumps({"is": word})}, agent=word)
        ctx.record_error("KeyError", f"no {word}", f"Traceback\n  find({word!r})")
        ctx.checkpoint({"who": [word.encode(), word]}, label=word)
        ctx.outcome("pass", note=word)
        ctx.output = word
    pp.label(ctx, note=f"it was {word}")
    assert word not in everything(store)
    assert pp.sessions().llm_calls.tolist() == [len(word)]
    assert pp.events(ctx, data=True).event_type.iloc[-1] == "agent_end"
    assert pp.llm_calls(ctx).messages.iloc[-1][0]["content"] != f"Who is {word}?"
    contents = pp.llm_calls(ctx).content
    assert contents.iloc[:-1].nunique() == 1
    assert contents.iloc[0].startswith("It is ")
    assert contents.iloc[0].endswith(", I think.")
    assert store.connection().execute("SELECT * FROM unreadable").fetchall() == []
    pp.load(messages, name=word)
    assert word not in everything(store)


FAILING = {"raises": lambda _: 1 / 0, "returns nothing": lambda _: None, "returns bytes": lambda text: text.encode()}


@pytest.mark.parametrize("function", FAILING.values(), ids=FAILING)
def test_a_function_that_fails_costs_the_text_and_not_the_agent(
    store: Database, monkeypatch: pytest.MonkeyPatch, function: Any
) -> None:
    monkeypatch.setattr(faults, "strict", False)
    monkeypatch.setattr(faults, "counts", type(faults.counts)())
    pp.init(db=store.path, redact=function)
    with pp.trace_session("agent") as ctx:
        ctx.record_decision("a reason", chosen_action={"go": ["left", 5, None]}, confidence=0.5)
    (data,) = pp.events("agent", types="decision", data=True).data if "agent" in pp.sessions().name.tolist() else (
        pp.events(types="decision", data=True).data
    )  # fmt: skip
    assert re.fullmatch(r"\[redacted:failed:[0-9a-f]{8}\]", data["reasoning"])
    assert list(data["chosen_action"]) == ["go"]
    assert data["chosen_action"]["go"][1:] == [5, None]
    assert data["confidence"] == 0.5
    assert sum(pp.status()["faults"].values()) > 2
    assert "a reason" not in everything(store)


def test_a_function_may_record_itself_without_end_or_trace(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    @pp.tool
    def anonymise(text: str) -> str:
        return text.replace("Waldo", "somebody")

    pp.init(db=store.path, redact=anonymise)
    with pp.trace_session("agent") as ctx:
        ctx.record_decision("Waldo said so")
    assert "Waldo" not in everything(store)


def test_without_redaction_it_warns_once_and_records_everything(store: Database) -> None:
    control._warn_once.cache_clear()
    with pytest.warns(pp.PeekWarning, match="records passwords and keys as they are"):
        pp.init(db=store.path, redact=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pp.init(db=store.path, redact=None)
    with pp.trace_session("agent") as ctx:
        ctx.record_decision("password: hunter2x!")
    assert "hunter2x!" in everything(store)


def test_what_is_cut_is_cut_after_it_was_cleaned(store: Database) -> None:
    pp.init(db=store.path, redact="pii", max_payload_kb=1)
    with pp.trace_session("cut") as ctx:
        for size in range(1000, 1024):
            ctx.record_tool_result("read", "x" * size + " ann.smith@example.com " + "y" * 2000)
    assert "ann.smith" not in everything(store)
    assert "ann.s" not in everything(store)


def test_the_example_of_the_documentation_is_true() -> None:
    redactor = CustomRedactor(key=lambda: b"k", patterns=[re.compile("ACME-[0-9]+")])
    assert re.fullmatch(rb'\{"note": "ticket \[redacted:custom:[0-9a-f]{8}\] is done"\}', redactor.clean(
        b'{"note": "ticket ACME-17 is done"}'))  # fmt: skip


def test_the_code_of_the_page_runs_as_it_stands(store: Database) -> None:
    page = (Path(__file__).parent.parent / "docs" / "privacy.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    scope: dict[str, Any] = {}
    for block in blocks:
        exec(block.replace("pp.init(", f"pp.init({str(store.path)!r}, "), scope)
        pp.init(store.path)
    assert pp.sessions().empty
