"""A real kernel, driven as a notebook drives it: run a cell, see what it shows, ask for values."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

ROOT = Path(__file__).parent.parent
PATIENCE = 60
SETUP = """
import asyncio, os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
import peaky_peek as pp

@pp.tool
def add(a, b):
    return a + b

@pp.trace
def agent(n):
    return add(n, n)
"""
"""A first cell: an agent and its tool."""

Message = dict[str, Any]


@dataclass
class Ran:
    """What a cell left: its outputs as a notebook file would hold them, and everything else it sent."""

    status: str = ""
    execution_count: int = 0
    outputs: list[Message] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    @property
    def shown(self) -> list[str]:
        """The outputs as text, in order."""
        return [_text(output) for output in self.outputs]

    @property
    def result(self) -> str | None:
        """What stands as `Out[n]`."""
        results = [output["data"]["text/plain"] for output in self.outputs if output["type"] == "execute_result"]
        return results[0] if results else None

    @property
    def lines(self) -> list[Message]:
        """The trees among the outputs."""
        return [output["data"] for output in self.outputs if "DecisionTree" in _text(output)]

    def states(self, name: str) -> list[Any]:
        """The values that a widget's trait was set to, in order."""
        states = [message["content"]["data"].get("state", {}) for message in self.messages]
        return [state[name] for state in states if name in state]

    def add(self, message: Message) -> None:
        kind, content = message["header"]["msg_type"], message["content"]
        if kind in ("comm_open", "comm_msg"):
            self.messages.append(message)
        elif kind == "update_display_data":
            for output in self.outputs:
                if output.get("transient") == content["transient"]:
                    output["data"] = content["data"]
        elif kind == "clear_output":
            self.outputs.clear()
        elif kind == "stream" and self.outputs and self.outputs[-1].get("name") == content["name"]:
            self.outputs[-1]["text"] += content["text"]
        elif kind in ("stream", "display_data", "execute_result", "error"):
            self.outputs.append({"type": kind, **content})


def _text(output: Message) -> str:
    if output["type"] == "stream":
        return output["text"]
    return "\n".join(output["traceback"]) if output["type"] == "error" else output["data"]["text/plain"]


class Notebook:
    """One kernel and the client that talks to it."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client

    def run(
        self, cell: str, *, seen: Callable[[Ran], bool] | None = None, then: Callable[[], Any] | None = None
    ) -> Ran:
        """Run a cell; as soon as what it sent is `seen`, do something `then`, while it is still running."""
        request = self.client.execute(cell)
        ran = Ran()
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["content"].get("execution_state") == "idle":
                break
            ran.add(message)
            if then is not None and seen is not None and seen(ran):
                then()
                then = None
        reply = self.reply(request)
        ran.status, ran.execution_count = reply["status"], reply["execution_count"]
        return ran

    def ask(self, expression: str) -> Any:
        """The value of an expression in the kernel, as JSON; no cell is run for it."""
        asked = {"value": f"__import__('json').dumps({expression})"}
        reply = self.reply(self.client.execute("", silent=True, user_expressions=asked))
        value = reply["user_expressions"]["value"]
        assert value["status"] == "ok", value
        text: str = value["data"]["text/plain"]
        return json.loads(eval(text))

    def complete(self, line: str) -> list[str]:
        """What Tab offers at the end of a line."""
        request = self.client.complete(line)
        return self.reply(request)["matches"]

    def interrupt(self) -> None:
        """What the stop button does."""
        self.manager.interrupt_kernel()

    def sessions(self) -> list[dict[str, Any]]:
        """The recorded sessions, oldest first."""
        columns = ["session_id", "name", "status", "llm_calls", "tool_calls", "errors", "notebook", "cell"]
        return self.ask(
            f"__import__('json').loads(__import__('peaky_peek').sessions()[{columns}].to_json(orient='records'))"
        )

    def events(self, session: str) -> list[dict[str, Any]]:
        """The events of a session, in order."""
        columns = ["event_type", "name", "agent", "status", "error_type"]
        return self.ask(
            f"__import__('json').loads(__import__('peaky_peek').events({session!r})[{columns}].to_json(orient='records'))"
        )

    def reply(self, request: str) -> Message:
        """The answer to a request, as soon as it comes."""
        while True:
            message = self.client.get_shell_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == request:
                content: Message = message["content"]
                return content


@contextmanager
def notebook(folder: Path, root: Path = ROOT) -> Iterator[Notebook]:
    """Start a kernel that records into `folder`; the package is the one in `root`."""
    environment = os.environ | {
        "PEAKY_PEEK_DB": str(folder / "kernel.db"),
        "PYTHONPATH": str(root),
        "JPY_SESSION_NAME": "/home/me/refunds.ipynb",
    }
    manager, client = start_new_kernel(startup_timeout=PATIENCE, env=environment, cwd=str(folder))
    try:
        yield Notebook(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
