"""Credentials stand anywhere and are cut anywhere: none of them is left, and nothing else is changed."""

from __future__ import annotations

import json
import random
from typing import Any

from peaky_peek import encoding
from peaky_peek.capture.bodies import Bodies
from peaky_peek.capture.providers import sse
from peaky_peek.capture.redaction import Redactor
from tests.planted import PASSWORD, SECRETS, left_in
from tests.soak import Scenario

WORDS = (
    "the",
    "agent",
    'said "no"',
    "because\n",
    "order #W12",
    "late,",
    "café",
    "{",
    "\\",
    "\t",
    "https://x.example/a",
)
KEYS = ("note", "content", "list of it", "Übersicht", "n1")
REDACTOR = Redactor(key=lambda: b"soak")


def scenarios() -> list[Scenario]:
    """What `python -m tests.soak` runs."""
    return [
        Scenario("secrets in values", in_values),
        Scenario("secrets in streams", in_streams),
        Scenario("secrets in conversations", in_conversations),
    ]


def in_values(seed: int) -> None:
    """Plant some in a random value, some of them under a telling key or in JSON that is text."""
    chance = random.Random(seed)
    value = _value(chance)
    encoded = encoding.encode(value)
    cleaned = REDACTOR.clean(encoded)
    assert left_in(cleaned) == set(), seed
    assert left_in(repr(encoding.decode(cleaned))) == set(), seed
    assert REDACTOR.clean(cleaned) == cleaned, seed


def in_streams(seed: int) -> None:
    """Let several texts with one credential each take turns in a stream, cut at random."""
    chance = random.Random(seed)
    texts = [
        f"It is {_words(chance)} {chance.choice(SECRETS)[1]} {_words(chance)}" for _ in range(chance.randint(1, 4))
    ]
    rest, events = dict(enumerate(texts)), []
    while rest:
        lane = chance.choice(list(rest))
        size = chance.choice((1, 2, 5, 20, 200))
        delta = {"index": lane, "delta": {"content": rest[lane][:size]}}
        events.append(b"data: " + json.dumps({"choices": [delta]}).encode() + b"\n\n")
        rest[lane] = rest[lane][size:]
        rest = {lane: text for lane, text in rest.items() if text}
    cleaned = sse.cleaned(b"".join(events), REDACTOR.clean)
    said = dict.fromkeys(range(len(texts)), "")
    for _, data in sse.events(cleaned):
        (choice,) = json.loads(data)["choices"]
        said[choice["index"]] += choice["delta"]["content"]
    for lane, text in enumerate(texts):
        assert left_in(said[lane]) == set(), seed
        assert said[lane][:6] == text[:6], seed
    assert sse.cleaned(cleaned, REDACTOR.clean) == cleaned, seed


def in_conversations(seed: int) -> None:
    """Resend a conversation that grows by credentials, and put its bodies together again from their parts."""
    chance = random.Random(seed)
    bodies, journal, messages = Bodies(), dict[str, bytes](), []
    for number in range(8):
        text = f"{_words(chance)} {chance.choice(SECRETS)[1] if chance.random() < 0.5 else ''} {_words(chance)}"
        messages.append({"role": "user", "content": text * chance.choice((1, 1, 40))})
        body = json.dumps({"messages": messages, "model": "m"}).encode()
        part, kept = bodies.shorten("s", str(number), "segment", body, REDACTOR.clean)
        bodies.remember("s", part, kept)
        base = journal[part.base_id] if part.base_id else b""
        journal[str(number)] = base[: part.prefix] + REDACTOR.clean(part.middle) + base[len(base) - part.suffix :]
        assert left_in(journal[str(number)]) == set(), seed
        assert len(json.loads(journal[str(number)])["messages"]) == number + 1, seed


def _value(chance: random.Random, depth: int = 0, texts: int = 0) -> Any:
    kind = chance.randrange(9 if depth < 5 else 4)
    if kind < 2:
        return f"{_words(chance)} {chance.choice(SECRETS)[1]} {_words(chance)}"
    if kind == 2:
        return chance.choice((None, 3, 0.5, _words(chance), chance.choice(SECRETS)[1].encode()))
    if kind == 3:
        return {chance.choice(("password", "db_password", "apiKey", "client_secret")): PASSWORD}
    if kind == 4 and texts < 3:
        return json.dumps({"arguments": _plain(_value(chance, depth + 1, texts + 1))})
    if kind == 5:
        return {
            **{key: _value(chance, depth + 1, texts) for key in chance.sample(KEYS, 2)},
            7: _value(chance, depth + 1, texts),
        }
    if kind == 6:
        return {chance.choice(SECRETS)[1]: _value(chance, depth + 1, texts)}
    return [_value(chance, depth + 1, texts) for _ in range(chance.randint(0, 3))]


def _plain(value: Any) -> Any:
    """What of a value JSON can say."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def _words(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(0, 6)))
