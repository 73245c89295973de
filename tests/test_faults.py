"""Something of ours fails at every call that the recorder makes, or is interrupted there: the agent never notices."""

from __future__ import annotations

import logging
import re
import signal
from pathlib import Path
from typing import Any

import pytest

import peaky_peek as pp
from peaky_peek.capture import faults
from tests.agents import AGENTS
from tests.soak import soak_faults

COUNTS = {"plain": 30, "generators": 30, "coroutines": 30, "verbs": 40, "threads": 30, "wire": 4}
"""How many calls to fail; `make soak` fails all of them in time."""


@pytest.mark.parametrize("name", AGENTS)
def test_a_fault_at_any_call_leaves_the_agent_alone_is_counted_and_said_once(name: str) -> None:
    soak_faults.fail(name, seed=1, count=COUNTS[name])


@pytest.mark.parametrize("name", [name for name in AGENTS if name != "threads"])
def test_an_interrupt_at_any_call_reaches_the_agent_and_leaves_nothing_half_done(name: str) -> None:
    soak_faults.interrupt(name, seed=1, count=COUNTS[name])


def test_an_interrupt_on_the_way_into_a_place_leaves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak_faults, "chosen", lambda sites, *_: [one for one in sites if "__enter__" in one.caller])
    soak_faults.interrupt("generators", seed=1)


def test_a_fault_that_comes_again_and_again_is_one_line_whatever_ids_it_names(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(faults, "strict", False)
    monkeypatch.setattr(faults, "counts", type(faults.counts)())
    monkeypatch.setattr(faults, "_first", {})
    for number in range(1000):
        faults.report(OSError(28, "No space left on device", f"/tmp/journal-{number}.jnl"))
        faults.report(KeyError(f"0192-{number:x}"))
    assert sorted(pp.status()["faults"].values()) == [1000, 1000]
    assert len(caplog.records) == 2
    for kind in range(1000):
        faults.report(ValueError("bug " + "x" * kind))
    assert len(pp.status()["faults"]) == faults._KINDS + 1
    assert pp.status()["faults"]["others"] == 1000 - (faults._KINDS - 2)


def test_where_a_fault_of_ours_came_from_is_logged_for_whoever_asks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(faults, "strict", False)
    monkeypatch.setattr(faults, "counts", type(faults.counts)())
    monkeypatch.setattr("peaky_peek.capture.verbs.ids.stamp", lambda: 1 // 0)
    with caplog.at_level(logging.DEBUG, "peaky_peek"), pp.trace_session("s") as ctx:
        event = ctx.record_decision("because")
    assert (event.id, event.session_id, event.name) == ("", "", "decision")
    assert "in emit" in caplog.text
    assert "ZeroDivisionError" in next(iter(pp.status()["faults"]))


class TooLate(Exception):
    """What the application's time limit raises, wherever it is."""


class Slow:
    """Its `repr` takes longer than the application has time."""

    def __repr__(self) -> str:
        signal.raise_signal(signal.SIGUSR1)
        return "slow"


@pytest.mark.parametrize("kind", [TooLate, TimeoutError, SystemExit])
def test_a_time_limit_of_the_application_is_kept_also_while_something_is_recorded(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(*_: Any) -> None:
        raise kind("time is up")

    monkeypatch.setattr(faults, "strict", False)
    former = signal.signal(signal.SIGUSR1, give_up)
    try:
        for value in (Slow(), [Slow(), float("nan")], {1: Slow()}):
            with pytest.raises(kind, match="time is up"), pp.trace_session("limited") as ctx:
                ctx.record_decision("because", evidence=[value])
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert len(pp.sessions()) == 3


def test_an_agent_that_recurses_to_the_limit_fails_as_it_does_without_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "strict", False)
    monkeypatch.setattr(faults, "counts", type(faults.counts)())

    def dive(ctx: Any, depth: int) -> int:
        ctx.record_decision("deeper")
        return dive(ctx, depth + 1)

    with pp.trace_session("deep") as ctx:
        with pytest.raises(RecursionError) as caught:
            dive(ctx, 0)
        ctx.record_decision("back again")
    assert pp.status()["lost"] == 0 or pp.status()["faults"]
    assert caught.traceback[-1].name in ("dive", "record_decision", "emit")
    assert pp.decisions("deep").reasoning.tolist()[-1] == "back again"


def test_the_code_of_the_page_about_faults_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    log = logging.getLogger("peaky_peek")
    monkeypatch.setattr(logging, "basicConfig", lambda: None)
    before = log.level
    page = (Path(__file__).parent.parent / "docs" / "faults.md").read_text()
    names: dict[str, Any] = {}
    try:
        for block in re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
            exec(block, names)
        assert log.level == logging.DEBUG
    finally:
        log.setLevel(before)
    assert pp.status()["faults"] == {}
    assert pp.sessions().name.tolist() == ["careful"]
