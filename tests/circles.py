"""Runs of agents made by a lot: some go in circles, some only look as if they did."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from peaky_peek.analysis.loops import Loops
from peaky_peek.capture.alerts import Alert
from peaky_peek.events import Event, LLMRequest, LLMResponse, ToolCall, ToolResult

_TOOLS = ["search_flights", "read_page", "lookup_order", "run_tests", "query_db", "get_weather", "list_files"]
_NOUNS = "flight hotel order invoice ticket parcel customer table report branch server index".split()
_PLACES = "Paris London Lyon Berlin Madrid Oslo Rome Vienna Dublin Lisbon Prague Athens".split()


class Run:
    """A run that is written event by event, on a clock of its own."""

    def __init__(self, seed: int, session_id: str = "s") -> None:
        self.lot = random.Random(seed)
        self.session_id = session_id
        self.events: list[Event] = []
        self._at = self._us = 0

    def wait(self, seconds: float) -> None:
        self._us += int(seconds * 1e6)

    def _add(self, cls: type[Event], parent: Event | None = None, **fields: Any) -> Event:
        self._at += 1
        self._us += self.lot.randrange(1_000, 20_000)
        place = {
            "session_id": self.session_id,
            "position": self._at,
            "time_us": self._us,
            "parent_id": parent and parent.id,
        }
        event = cls(id=f"{self.session_id}{self._at}", **place, **fields)
        self.events.append(event)
        return event

    def tool(self, name: str, arguments: Any, result: Any = None, error: str | None = None) -> None:
        call = self._add(ToolCall, name=name, tool_name=name, arguments=arguments)
        self._add(ToolResult, call, name=name, tool_name=name, result=result, error=error)

    def at_once(self, name: str, calls: list[tuple[Any, Any]]) -> None:
        opened = [self._add(ToolCall, name=name, tool_name=name, arguments=arguments) for arguments, _ in calls]
        for call, (_, result) in zip(opened, calls, strict=True):
            self._add(ToolResult, call, name=name, tool_name=name, result=result)

    def ask(self, said: Any, content: str | None = None, *calls: str) -> None:
        """A model is asked and answers with text, or with calls of tools."""
        request = self._add(LLMRequest, name="m", model="m", messages=[{"role": "user", "content": said}])
        called = [{"function": {"name": name}} for name in calls] or None
        self._add(LLMResponse, request, name="m", model="m", content=content, tool_calls=called)

    def sentence(self) -> str:
        return f"find the {self.lot.choice(_NOUNS)} for {self.lot.choice(_PLACES)} {self.lot.randrange(10**6)}"

    def work(self, steps: int) -> None:
        """Honest labour: each step asks for something else and learns something new."""
        for _ in range(steps):
            name = self.lot.choice(_TOOLS)
            self.ask(self.sentence(), None, name)
            self.tool(name, {"query": self.sentence()}, {"found": self.lot.randrange(10**9)})

    @property
    def alerts(self) -> list[Alert]:
        rule = Loops()
        return [alert for event in self.events for alert in rule.feed(event)]


def _same_call(run: Run, rounds: int) -> None:
    name, query = run.lot.choice(_TOOLS), run.sentence()
    for _ in range(rounds):
        run.ask(run.sentence(), f"Let me try {run.lot.choice(_NOUNS)} again.", name)
        run.tool(name, {"query": query}, [])


def _other_words(run: Run, rounds: int) -> None:
    noun, place = run.lot.choice(_NOUNS), run.lot.choice(_PLACES)
    forms = [
        f"cheap {noun} in {place}",
        f"{place} cheap {noun}",
        f"cheap {noun}s in {place}",
        f"the cheap {noun} {place}",
    ]
    for n in range(rounds):
        run.tool("search", {"query": forms[n % 4], "limit": 10}, {"hits": []})


def _to_and_fro(run: Run, rounds: int) -> None:
    one, other = run.sentence(), run.sentence()
    for _ in range(rounds):
        run.tool("open_page", {"url": one}, f"<html>{one}</html>")
        run.tool("open_page", {"url": other}, f"<html>{other}</html>")


def _long_circle(run: Run, rounds: int) -> None:
    steps = [
        (run.lot.choice(_TOOLS), {"q": run.sentence()}, {"n": run.lot.random()}) for _ in range(run.lot.randint(3, 16))
    ]
    for _ in range(rounds):
        for name, arguments, result in steps:
            run.tool(name, arguments, result)


def _same_failure(run: Run, rounds: int) -> None:
    order = run.sentence()
    for _ in range(rounds):
        run.ask(run.sentence(), None, "refund")
        run.tool("refund", {"order": order}, error="403 Forbidden: not allowed")


def _new_ids_only(run: Run, rounds: int) -> None:
    query = run.sentence()
    for n in range(rounds):
        request = f"{run.lot.getrandbits(128):032x}"
        stamp = f"2026-11-27T10:00:{n % 60:02}Z"
        run.tool("lookup", {"query": query}, {"items": [], "request_id": request, "generated_at": stamp})


def _chatter(run: Run, rounds: int) -> None:
    for _ in range(rounds + 2):
        run.ask("After you.", "No, after you.")
        run.ask("No, after you.", "After you.")


def _only_acknowledged(run: Run, rounds: int) -> None:
    for _ in range(rounds + 4):
        run.ask(run.sentence(), None, "press")
        run.tool("press", {"key": "down"}, "ok")


CIRCLES: list[Callable[[Run, int], None]] = [
    _same_call, _other_words, _to_and_fro, _long_circle, _same_failure, _new_ids_only, _chatter, _only_acknowledged,
]  # fmt: skip


def _pages(run: Run) -> None:
    query = run.sentence()
    for page in range(run.lot.randint(4, 30)):
        run.tool("list_items", {"query": query, "page": page}, {"items": [run.lot.random()], "page": page})


def _cursor(run: Run) -> None:
    for _ in range(run.lot.randint(4, 30)):
        run.tool("next_page", {}, {"items": [run.lot.randrange(10**9)]})


def _backing_off(run: Run) -> None:
    query, pause = run.sentence(), 0.2
    for _ in range(run.lot.randint(3, 8)):
        run.tool("search", {"query": query}, error="503 Service Unavailable")
        run.wait(pause)
        pause *= 2
    run.tool("search", {"query": query}, {"found": 1})


def _some_retries(run: Run) -> None:
    query = run.sentence()
    for _ in range(run.lot.randint(1, 4)):
        run.tool("search", {"query": query}, error="timeout")
    run.tool("search", {"query": query}, {"found": 1})


def _polling(run: Run) -> None:
    for percent in range(0, 101, run.lot.randint(4, 25)):
        run.tool("job_status", {"job": 7}, {"state": "running", "percent": percent})
    for _ in range(run.lot.randint(2, 8)):
        run.tool("job_status", {"job": 8}, {"state": "pending"})
    run.tool("job_status", {"job": 8}, {"state": "done"})


def _map_of_tools(run: Run) -> None:
    for _ in range(run.lot.randint(5, 40)):
        run.tool("update_record", {"table": "customers", "set": "mark as checked now", "id": run.lot.random()}, "ok")


def _map_of_places(run: Run) -> None:
    for place in run.lot.sample(_PLACES, 8):
        run.tool("search", {"query": f"cheap hotels near the main station in {place} with breakfast"}, [])


def _map_of_paths(run: Run) -> None:
    for noun in run.lot.sample(_NOUNS, 8):
        run.tool("read_file", {"path": f"src/app/models/{noun}.py"}, error="no such file")


def _labelling(run: Run) -> None:
    for _ in range(run.lot.randint(5, 30)):
        run.ask(run.sentence(), run.lot.choice(["positive", "positive", "negative"]))


def _at_once(run: Run) -> None:
    query = run.sentence()
    run.at_once("sample", [({"q": query}, "yes")] * run.lot.randint(3, 8))
    run.at_once("fetch", [({"url": run.sentence()}, {"n": run.lot.random()}) for _ in range(6)])


def _scrolling(run: Run) -> None:
    for _ in range(run.lot.randint(3, 12)):
        run.tool("scroll", {"by": 400}, "ok")
        run.tool("screenshot", {}, {"pixels": run.lot.random()})


def _mending(run: Run) -> None:
    for _ in range(run.lot.randint(3, 8)):
        run.tool("edit", {"patch": run.sentence()}, "done")
        run.tool("run_tests", {}, error="1 failed")


LOOK_ALIKES: list[Callable[[Run], None]] = [
    _pages, _cursor, _backing_off, _some_retries, _polling, _map_of_tools, _map_of_places, _map_of_paths, _labelling,
    _at_once, _scrolling, _mending,
]  # fmt: skip


def planted(kind: Callable[[Run, int], None], seed: int) -> tuple[Run, int]:
    """Return a run with a circle in it, and how many events there were before the circle."""
    run = Run(seed)
    run.work(run.lot.randint(0, 20))
    before = len(run.events)
    kind(run, run.lot.randint(3, 6))
    return run, before


def clean(kind: Callable[[Run], None], seed: int) -> Run:
    """Return a run that makes progress in each of its steps."""
    run = Run(seed)
    run.work(run.lot.randint(0, 20))
    kind(run)
    run.work(run.lot.randint(0, 20))
    return run
