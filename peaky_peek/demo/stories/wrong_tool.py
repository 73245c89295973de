"""An on-call assistant searches the logs for a deploy, again and again; deploys are listed by another tool."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import peaky_peek as pp
from peaky_peek.demo.agent import run_agent
from peaky_peek.demo.script import call, in_turn
from peaky_peek.demo.story import Mark, Story

if TYPE_CHECKING:
    from openai import OpenAI

SYSTEM = "You are the on-call assistant of a web shop. Find out what caused an alert. Use the tools, do not guess."


@pp.tool
def get_alert(alert: str) -> dict[str, Any]:
    """What the alert says."""
    return {"alert": alert, "service": "checkout", "since": "14:02", "text": "p95 latency is 2.4 s, usually 0.3 s"}


@pp.tool
def get_metrics(service: str, minutes: int) -> dict[str, Any]:
    """Latency of a service over the last minutes."""
    if minutes > 60:
        raise TimeoutError(f"the metrics store gave no answer in 5 s for {minutes} minutes")
    return {"service": service, "p95_seconds": {"13:50": 0.3, "14:00": 0.3, "14:05": 2.3, "14:10": 2.4}}


@pp.tool
def search_logs(service: str, query: str) -> dict[str, Any]:
    """Lines of the application log that contain a word."""
    return {
        "service": service,
        "query": query,
        "lines": [],
        "searched": 18_204,
        "note": "application lines only; deploys are in list_deploys",
    }


@pp.tool
def list_deploys(service: str) -> list[dict[str, Any]]:
    """The latest deploys of a service."""
    return [{"service": service, "version": "2026.1.14-3", "at": "14:01", "change": "tax service called per item"}]


def run(client: OpenAI) -> None:
    """Record the investigation, which gives up after ten turns."""

    @pp.trace(name="find the slow deploy", framework="openai")
    def investigate(alert: str) -> str:
        return run_agent(
            client,
            model="gpt-4.1-mini",
            system=SYSTEM,
            question=f"Alert {alert} fired. Which deploy caused it?",
            tools=[get_alert, get_metrics, search_logs, list_deploys],
            max_turns=10,
        )

    with contextlib.suppress(RuntimeError):
        investigate("A-311")


STORY = Story(
    key="wrong-tool",
    title="an agent that loops on the wrong tool",
    session="find the slow deploy",
    mechanism="loop",
    look="search_logs says where deploys are, 7 times",
    cause=Mark("decision", "The logs will show it", "chooses search_logs, though list_deploys is on offer"),
    symptom=Mark("error", "no answer after 10 turns", "the turn limit ends the run"),
    distractor=Mark("tool_result", "gave no answer in 5 s", "the metrics time out once; a shorter range works"),
    script=in_turn(
        call("get_alert", because="First the alert itself.", alert="A-311"),
        call("get_metrics", because="How long has it been slow?", service="checkout", minutes=120),
        call("get_metrics", because="A shorter range may do.", service="checkout", minutes=30),
        call(
            "search_logs",
            because="It got slow at 14:02, so something was deployed just before. The logs will show it.",
            service="checkout",
            query="deploy",
        ),
        call("search_logs", because="Nothing yet. Other words for it.", service="checkout", query="deployment"),
        call("search_logs", service="checkout", query="release"),
        call("search_logs", because="Let me search again.", service="checkout", query="deploy"),
        call("search_logs", service="checkout", query="deployment"),
        call("search_logs", service="checkout", query="release"),
        call("search_logs", because="Let me search again.", service="checkout", query="deploy"),
    ),
    run=run,
)
