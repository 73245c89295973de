"""Measures how exactly real exchanges are recorded: `python -m tests.bench.exchanges --file F`.

F is a `.jsonl` or `.jsonl.gz` of exchanges, one object a line with `method`, `uri`, `request_body`, `status`, `stream`,
`content_type`, `response_headers` and `response_body`, as `tests/data/openai_chat_exchanges.md` describes them. Each is
played from a loopback server through the real SDK twice, without the hook and with it. It is recorded exactly when the
application saw the same both times, and when what stands in the store equals what was sent and what the SDK returned;
of a call in the background, what a later exchange of the file fetched for it.
Of an exchange that is no model call nothing may be recorded.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.capture import transport
from peaky_peek.events import Event, LLMResponse
from peaky_peek.store.reader import read_events
from tests.bench import truth
from tests.bench.replay import TIMEOUT, Outcome, Row, kind_of, place_of, play
from tests.loopback import Loopback


class Difference(NamedTuple):
    """A field that is not what it should be."""

    field: str
    expected: Any
    got: Any


class Played(NamedTuple):
    """An exchange with what the application saw of it, without the hook and with it."""

    row: Row
    session: str
    bare: Outcome
    hooked: Outcome


def read(path: Path) -> Iterator[Row]:
    """Yield the exchanges of a file."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line) if line.strip() else None
            except ValueError as error:
                print(f"line {number} is no JSON: {error}", file=sys.stderr)
                continue
            if isinstance(row, dict):
                yield row


def differences(rows: Iterable[Row], db: Path) -> Iterator[tuple[Row, list[Difference]]]:
    """Play each exchange, and yield it with what differs."""
    pp.init(db=db)
    played = []
    with Loopback() as server, httpx2.Client(proxy=server.url.removesuffix("/v1"), timeout=TIMEOUT) as http:
        for number, row in enumerate(rows):
            transport.uninstall()
            bare = play(row, server, http)
            transport.install()
            session = f"exchange {number}"
            with pp.trace_session(session):
                hooked = play(row, server, http)
            transport.uninstall()
            played.append(Played(row, session, bare, hooked))
    database = store.current()
    database.ingest()
    sessions = dict(database.connection().execute("SELECT name, session_id FROM sessions"))
    for number, each in enumerate(played):
        try:
            found = _compare(
                each, _answer_to(each, played[number + 1 :]), read_events(database, sessions[each.session])
            )
        except Exception as error:  # noqa: BLE001 - it counts as not exact, and the others go on
            found = [Difference("driver", "a comparison", f"{type(error).__name__}: {error}")]
        yield each.row, found


def _answer_to(played: Played, later: list[Played]) -> Outcome:
    """What brought the answer: the exchange itself, or the fetch of what ran in the background."""
    if not truth.is_running(played.bare):
        return played.bare
    fetched = (each.bare for each in later if getattr(each.bare.whole, "id", None) == played.bare.whole.id)
    return next((each for each in fetched if not truth.is_running(each)), played.bare)


def _compare(played: Played, answer: Outcome, events: list[Event]) -> list[Difference]:
    kind = kind_of(played.row)
    bare, hooked = played.bare.seen(), played.hooked.seen()
    found = [] if bare == hooked else [Difference("application", bare, hooked)]
    calls = [event for event in events if event.event_type not in ("agent_start", "agent_end")]
    if kind is None or not played.hooked.sent:
        return found + ([Difference("events", [], calls)] if calls else [])
    expected = truth.asked(kind, played.row, played.hooked.sent[-1]) | {
        f"answer {name}": value for name, value in truth.answered(kind, played.row, answer).items()
    }
    if played.bare.no_sum:
        found.append(Difference("sum", "the SDK's accumulator", played.bare.no_sum))
    got = _recorded(calls)
    fields = [Difference(name, value, got.get(name)) for name, value in expected.items()]
    return found + [each for each in fields if not _same(*each)]


def _recorded(events: list[Event]) -> dict[str, Any]:
    """The same fields, as they stand in the store."""
    by_type: defaultdict[str, list[Any]] = defaultdict(list)
    for event in events:
        by_type[event.event_type].append(event)
    requests, responses = by_type["llm_request"], by_type["llm_response"]
    if len(requests) != 1:
        return {"provider": f"{len(requests)} requests"}
    (request,), response = requests, (responses or [LLMResponse(id="", session_id="", position=0, name="")])[0]
    errors = [(event.error_type, event.error_message) for event in by_type["error"]]
    asked = {name: getattr(request, name) for name in ("provider", "model", "messages", "tools", "settings", "stream")}
    answer = {
        "count": len(responses),
        **{name: getattr(response, name) for name in ("model", "content", "thinking", "finish_reason", "usage")},
        "text": _text(response.content),
        "tool_calls": [(call["id"], call["name"], call["arguments"]) for call in response.tool_calls or []],
        "hosted": [event.tool_name for event in by_type["tool_call"] if event.parent_id == request.id],
        "refusal": response.data.get("refusal"),
        "embeddings": response.data.get("embeddings"),
        "error": errors[0] if errors else None,
    }
    return asked | {f"answer {name}": value for name, value in answer.items()}


def _text(content: Any) -> Any:
    """The text of an answer, which may stand in blocks."""
    if not isinstance(content, list):
        return content
    return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict)) or None


def _same(name: str, expected: Any, got: Any) -> bool:
    """Tell whether a field is as it should be. Thoughts may be joined with line ends; SDKs strip what errors say."""
    if name == "answer thinking" and isinstance(expected, list):
        return "".join("".join(expected).split()) == "".join(str(got).split())
    if name == "answer error" and expected and got:
        return expected[0] == got[0] and (expected[1] is None or expected[1].strip() == got[1].strip())
    if name == "answer refusal" and expected is None:
        return True
    return _exact(expected) == _exact(got)


def _exact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def report(rows: list[Row], db: Path, *, show: int = 200) -> float:
    """Print what differs, the counts by endpoint, and the share recorded exactly; return that share."""
    counts: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    for row, found in differences(rows, db):
        url = place_of(row)
        path = "/".join(part if len(part) < 30 else "..." for part in url.path.split("/"))
        counts[f"{row.get('method')} {url.netloc}{path}{' streamed' * bool(row.get('stream'))}"][not found] += 1
        for each in found:
            print(f"{row.get('id')} {each.field}")
            print(f"    expected {_cut(each.expected, show)}\n    got      {_cut(each.got, show)}")
    for endpoint, count in sorted(counts.items()):
        print(f"{endpoint:95} {count[True]:4} of {count.total()} exact")
    exact, total = sum(count[True] for count in counts.values()), sum(count.total() for count in counts.values())
    share = exact / total if total else 1.0
    print(f"{exact} of {total} exchanges recorded exactly: {100 * share:.2f} %")
    return share


def _cut(value: Any, size: int) -> str:
    text = repr(value)
    return text if len(text) <= size else f"{text[:size]}... ({len(text)} characters)"


def main() -> int:
    """Measure one file."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.exchanges", description=__doc__.partition("\n")[0])
    parser.add_argument("--file", type=Path, required=True, help=".jsonl or .jsonl.gz")
    parser.add_argument("--show", type=int, default=200, help="how many characters of a difference to print")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")  # of models that are deprecated, by the SDKs
    with tempfile.TemporaryDirectory(prefix="peaky-peek-exchanges-") as home:
        os.environ["PEAKY_PEEK_DB"] = str(Path(home) / "default.db")
        report(list(read(wanted.file)), Path(home) / "peek.db", show=wanted.show)
    return 0


if __name__ == "__main__":
    sys.exit(main())
