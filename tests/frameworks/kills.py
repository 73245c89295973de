"""Kills a framework's process in the midst of its runs: what it was told is recorded is in the store, and once.

The agents ask two tools at a time, and each answer of the model is about a number of its own. So whatever arrives at
the server, and whatever a tool says of itself, is to be found in the store by its number.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from peaky_peek.store import Database, exchanges
from peaky_peek.store.reader import read_events
from peaky_peek.vocabulary import CLOSES
from tests.frameworks.quiet import QUIET
from tests.loopback import Loopback, Reply, Seen, error, message, stream, tool_call
from tests.replies import anthropic_message, anthropic_stream, host, tool_use

ROOT = Path(__file__).parents[2]
TOOLS = """
import asyncio, itertools, os, signal

told = os.open(os.environ["TOLD"], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
lines = itertools.count(1)


def tell(*words):
    os.write(told, (" ".join(map(str, words)) + "\\n").encode())
    if next(lines) == int(os.environ["LINES"]):
        os.kill(os.getpid(), signal.SIGKILL)


def weather(n: int) -> str:
    '''The weather on a day.'''
    tell("weather", n)
    return f"rain {n}"


def book(n: int) -> str:
    '''Books a room for a day.'''
    tell("book", n)
    return f"room {n}"
"""
AGENTS = {
    "anthropic": """
from anthropic import Anthropic

client = Anthropic()
tools = [{"name": each.__name__, "input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
         for each in (weather, book)]
for number in itertools.count():
    said = [{"role": "user", "content": f"Question {number}"}]
    while True:
        with client.messages.stream(model="claude-sonnet-4-5", max_tokens=9, tools=tools, messages=said) as stream:
            answer = stream.get_final_message()
        calls = [block for block in answer.content if block.type == "tool_use"]
        if not calls:
            break
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": globals()[call.name](**call.input)}
                   for call in calls]
        said += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    tell("answer", number)
""",
    "autogen": """
import warnings
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient

warnings.simplefilter("ignore")


async def main():
    client = OpenAIChatCompletionClient(model="gpt-4o-mini")
    for number in itertools.count():
        agent = AssistantAgent("helper", client, tools=[weather, book], reflect_on_tool_use=True)
        await agent.run(task=f"Question {number}")
        tell("answer", number)


asyncio.run(main())
""",
    "crewai": """
from crewai import Agent, Crew, Task
from crewai.tools import tool

for number in itertools.count():
    clerk = Agent(role="clerk", goal="help", backstory="you help", tools=[tool(weather), tool(book)], llm="gpt-4o-mini")
    task = Task(description=f"Question {number}", expected_output="a plan", agent=clerk)
    Crew(agents=[clerk], tasks=[task]).kickoff()
    tell("answer", number)
""",
    "langchain": """
from langchain.agents import create_agent

agent = create_agent("openai:gpt-4o-mini", [weather, book], name="helper")
for number in itertools.count():
    agent.invoke({"messages": [{"role": "user", "content": f"Question {number}"}]})
    tell("answer", number)
""",
    "llama_index": """
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI


async def main():
    agent = FunctionAgent(name="helper", tools=[weather, book], llm=OpenAI(model="gpt-4o-mini"))
    for number in itertools.count():
        await agent.run(f"Question {number}")
        tell("answer", number)


asyncio.run(main())
""",
    "openai": """
import json
from openai import OpenAI

client = OpenAI()
parameters = {"type": "object", "properties": {"n": {"type": "integer"}}}
tools = [{"type": "function", "function": {"name": each, "parameters": parameters}} for each in ("weather", "book")]
for number in itertools.count():
    said = [{"role": "user", "content": f"Question {number}"}]
    while True:
        answer = client.chat.completions.create(model="gpt-4o-mini", tools=tools, messages=said).choices[0].message
        said.append(answer)
        if not answer.tool_calls:
            break
        for call in answer.tool_calls:
            result = globals()[call.function.name](**json.loads(call.function.arguments))
            said.append({"role": "tool", "tool_call_id": call.id, "content": result})
    tell("answer", number)
""",
    "openai_agents": """
from agents import Agent, Runner, function_tool, set_default_openai_api, set_trace_processors

set_trace_processors([])  # the SDK's own would send the runs to OpenAI
set_default_openai_api("chat_completions")
agent = Agent("helper", model="gpt-4o-mini", tools=[function_tool(weather), function_tool(book)])


async def main():
    for number in itertools.count():
        await Runner.run(agent, f"Question {number}")
        tell("answer", number)


asyncio.run(main())
""",
    "pydantic_ai": """
from pydantic_ai import Agent

agent = Agent("openai-chat:gpt-4o-mini", name="helper", tools=[weather, book])


async def main():
    for number in itertools.count():
        await agent.run(f"Question {number}")
        tell("answer", number)


asyncio.run(main())
""",
}
"""Programs that know nothing of us and go on asking, by what they are built on."""
WIRE = ("anthropic", "openai")
"""Those whose tools nobody tells of: they are known from what the model is asked next."""
IN = {
    "a": ("anthropic", "autogen", "langchain", "openai", "openai_agents", "pydantic_ai"),
    "b": ("anthropic", "autogen", "crewai", "langchain", "llama_index", "openai"),
}
"""What can be run in which environment."""
MOMENTS = ("as the model is asked", "in a tool or between two runs", "some milliseconds later")


class Model(Loopback):
    """Calls both tools with a number of its own, then answers; says when it was asked often enough."""

    def __init__(self, often: int) -> None:
        super().__init__()
        self.asked_often, self.may_answer = threading.Event(), threading.Event()
        self._often = often
        self._lock = threading.Lock()

    def reply_to(self, seen: Seen) -> Reply:
        """What this request is answered with."""
        if not isinstance(seen.body, dict):  # the client died while it sent it
            return error(400)
        with self._lock:
            self.requests.append(seen)
            number = len(self.requests)
        if number >= self._often:
            self.asked_often.set()
            self.may_answer.wait(60)
        is_answered = bool(results_in(seen.body["messages"][-1:]))
        streams = seen.body.get("stream")
        if seen.path.endswith("/messages"):
            made = anthropic_stream if streams else anthropic_message
            said = [tool_use(f"c-{name}-{number}", name, n=number) for name in ("weather", "book")]
            return made(f"Answer {number}") if is_answered else made(*said)
        if is_answered:
            return stream(f"Answer {number}") if streams else message(f"Answer {number}")
        calls = [tool_call(f"c-{name}-{number}", name, n=number) for name in ("weather", "book")]
        return stream(tool_calls=calls) if streams else message(tool_calls=calls)


def results_in(messages: Iterable[Any]) -> list[str]:
    """The results of tools in what a model is told, such as `rain 7`."""
    found = []
    for each in messages:
        if each["role"] == "tool":
            found.append(str(each["content"]))
        elif isinstance(each["content"], list):
            found += [str(block["content"]) for block in each["content"] if block["type"] == "tool_result"]
    return found


def run_and_kill(folder: Path, name: str, seed: int, python: str | Path = sys.executable) -> None:
    """Run a program, kill it at a moment that the seed chooses, and check what is in the store of the folder."""
    chance, moment = random.Random(f"{name} {seed}"), MOMENTS[seed % len(MOMENTS)]
    program, told, log = folder / "program.py", folder / "told", folder / "log"
    program.write_text(TOOLS + AGENTS[name])
    told.touch()
    path = folder / "peek.db"
    is_told = moment == MOMENTS[1]
    with Model(10_000 if is_told else chance.randint(2, 9)) as server, log.open("w") as output:
        environment = os.environ | QUIET | {
            "PYTHONPATH": str(ROOT), "PEAKY_PEEK_DB": str(path), "PEAKY_PEEK_STRICT": "1", "TOLD": str(told),
            "LINES": str(chance.randint(1, 9) if is_told else 0), "CREWAI_STORAGE_DIR": str(folder / "crewai"),
            "OPENAI_BASE_URL": server.url, "OPENAI_API_BASE": server.url, "ANTHROPIC_BASE_URL": host(server),
            "OPENAI_API_KEY": "test", "ANTHROPIC_API_KEY": "test",
        }  # fmt: skip
        command = [str(python), "-m", "peaky_peek", "run", str(program)]
        child = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=folder)
        while child.poll() is None and not server.asked_often.wait(0.05):
            pass
        if moment == MOMENTS[2]:
            server.may_answer.set()
            time.sleep(chance.uniform(0, 0.03))
        if not is_told:
            child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL, log.read_text()
        server.may_answer.set()
    database = Database(path)
    try:
        check(database, name, server.requests, told.read_text().splitlines())
    finally:
        database.close()


def check(database: Database, name: str, seen: list[Seen], told: list[str]) -> None:
    """Everything that was seen and told is in the store, once, and what is there fits together."""
    database.ingest()
    connection = database.connection()
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT reason FROM unreadable").fetchall() == []
    sessions = connection.execute("SELECT session_id, status FROM sessions ORDER BY position").fetchall()
    events = {session: list(read_events(database, session)) for session, _ in sessions}
    for found in events.values():
        check_tree(found)
    every = [event for found in events.values() for event in found]
    check_requests(database, every, seen)
    check_tools(name, every, seen, told)
    answers = sum(line.startswith("answer") for line in told)
    if name in WIRE:
        assert [status for _, status in sessions] == ["interrupted"]
    else:
        statuses = [status for _, status in sessions]
        assert statuses[:answers] == ["completed"] * answers
        assert statuses[answers:] in ([], ["interrupted"], ["completed"])


def check_tree(found: list[Any]) -> None:
    """What is inside something comes after it in the same session, and nothing is closed twice."""
    place = {event.id: number for number, event in enumerate(found)}
    assert len(place) == len(found)
    kinds = {event.id: event.event_type for event in found}
    closed: Counter[str] = Counter()
    for event in found:
        assert event.parent_id is None or place[event.parent_id] < place[event.id], (event.event_type, event.name)
        if event.event_type in CLOSES:
            assert kinds[event.parent_id] == CLOSES[event.event_type]
            closed[event.parent_id] += 1
    assert max(closed.values(), default=0) <= 1


def check_requests(database: Database, found: list[Any], seen: list[Seen]) -> None:
    """Each request that arrived is an `llm_request`; one more may have been on its way."""
    connection = database.connection()
    rows = connection.execute("SELECT exchange_id, event_id FROM exchanges").fetchall()
    stored = Counter(_canonical(json.loads(exchanges.request_body(connection, exchange))) for exchange, _ in rows)
    arrived = Counter(_canonical(each.body) for each in seen)
    assert arrived - stored == Counter()
    assert (stored - arrived).total() <= 1
    requests = [event.id for event in found if event.event_type == "llm_request"]
    assert sorted(requests) == sorted(event for _, event in rows)


def check_tools(name: str, found: list[Any], seen: list[Seen], told: list[str]) -> None:
    """Each tool that said it ran, and each result that the model was told, is there once."""
    calls = Counter(f"{event.name} {event.arguments['n']}" for event in found if event.event_type == "tool_call")
    results = Counter(str(event.result) for event in found if event.event_type == "tool_result")
    assert {*calls.values(), *results.values()} <= {1}
    ran = {line for line in told if not line.startswith("answer")}
    arrived = {result for each in seen for result in results_in(each.body["messages"])}
    assert arrived <= {*results}
    if name not in WIRE:
        assert ran <= {*calls}
    asked = Counter(
        f"{call['name']} {call['arguments']['n']}"
        for event in found
        if event.event_type == "llm_response"
        for call in event.tool_calls or ()
    )
    assert ran <= {*asked}
    assert {*asked.values()} <= {1}


def _canonical(body: Any) -> str:
    return json.dumps(body, sort_keys=True)
