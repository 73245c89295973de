"""A run with one of everything, the same to the microsecond each time: a planner, a worker, and a refund that fails.

The worker is stopped by a policy, finds a way around it, and tells the customer that all is well although the gateway
said no. Views are photographed with it.
"""

from __future__ import annotations

from typing import Any

from peaky_peek.events import (
    AgentEnd,
    AgentStart,
    AgentTurn,
    Checkpoint,
    Decision,
    Error,
    Event,
    LLMRequest,
    LLMResponse,
    PromptPolicy,
    SafetyCheck,
    ToolCall,
    ToolResult,
)
from peaky_peek.store.database import Database
from tests.recordings import START, Run

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("find_customer", "get_order", "refund", "issue_voucher", "notify")
]
SYSTEM = "You are the support agent of a lamp shop. Refund at most 50 EUR without a manager."
TICKET = "T-88: the lamp of my order A-1042 arrived broken. Please refund 84.50 EUR. Ada"


class Refund:
    """Writes the run step by step; `now` is the time of the next event in milliseconds."""

    def __init__(self, session_id: str, *, succeeds: bool = False) -> None:
        self.run, self.succeeds, self.now = Run(session_id), succeeds, 0.0
        self.messages: list[dict[str, Any]] = []

    def add(self, cls: type[Event], name: str, parent: Event | None, after: float = 2, **fields: Any) -> Event:
        self.now += after
        return self.run.add(cls, name, parent, time_us=START + round(self.now * 1000), **fields)

    def ask(
        self, parent: Event, agent: str, ms: float, content: str | None, call: dict[str, Any] | None = None
    ) -> Event:
        """One call of the model; returns its answer."""
        request = self.add(
            LLMRequest, "gpt-5-mini", parent, agent=agent, provider="openai", model="gpt-5-mini",
            messages=list(self.messages), tools=TOOLS, settings={"temperature": 0.2}, importance=0.3,
        )  # fmt: skip
        calls = [call] if call else None
        answer = self.add(
            LLMResponse, "gpt-5-mini", request, ms, agent=agent, model="gpt-5-mini", content=content,
            tool_calls=calls, finish_reason="tool_calls" if call else "stop", duration_ms=ms, status="ok",
            usage={"input": 420 + 90 * len(self.messages), "output": 60}, cost_usd=0.0011 + ms / 4_000_000,
        )  # fmt: skip
        said = {"role": "assistant", "content": content}
        self.messages.append(
            said | {"tool_calls": [{"id": call["id"], "type": "function", "function": call}]} if call else said
        )
        return answer

    def use(self, parent: Event, agent: str, ms: float, call: dict[str, Any], **result: Any) -> Event:
        """One call of a tool; returns its result."""
        about = {"agent": agent, "tool_name": call["name"], "call_id": call["id"]}
        opened = self.add(ToolCall, call["name"], parent, arguments=call["arguments"], **about)
        failed = "error" in result
        status = {"status": "error" if failed else "ok", "importance": 0.9 if failed else 0.5}
        closed = self.add(ToolResult, call["name"], opened, ms, duration_ms=ms, **about, **status, **result)
        told = result.get("error") or result.get("result")
        self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": str(told)})
        return closed

    def save(self, db: Database, **session: Any) -> str:
        """Write the whole run; returns the session's id."""
        self.plan()
        return self.run.save(
            db, name="refund_agent", task="refund", version="v2", ended_at=START + round(self.now * 1000),
            outcome="pass" if self.succeeds else "fail", **session,
        )  # fmt: skip

    def plan(self) -> None:
        root = self.add(
            AgentStart, "refund_agent", None, agent="planner", input={"ticket": TICKET}, code="planner(TICKET)"
        )
        self.messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": TICKET}]
        self.add(
            PromptPolicy,
            "support v2",
            root,
            agent="planner",
            template_id="support-v2",
            speaker="planner",
            goal="solve T-88",
        )
        find = {"id": "c1", "name": "find_customer", "arguments": {"email": "ada@home.example"}}
        answer = self.ask(root, "planner", 1_320, None, find)
        self.decide(answer, "planner", "find_customer", "Find out who writes, by the address of the ticket.", 0.9)
        self.use(root, "planner", 240, find, error="LookupError: no customer has the email 'ada@home.example'")
        order = {"id": "c2", "name": "get_order", "arguments": {"order": "A-1042"}}
        answer = self.ask(root, "planner", 980, "The order names its customer.", order)
        self.decide(answer, "planner", "get_order", "The order is known even if the address is not.", 0.8)
        got = self.use(
            root, "planner", 310, order, result={"order": "A-1042", "customer": "C-7", "paid": 84.5, "by": "card"}
        )
        self.add(
            Checkpoint,
            "before refund",
            root,
            agent="planner",
            label="before refund",
            state={"order": "A-1042", "refunded": 0},
            importance=0.6,
        )
        self.work(root, got)
        end = {"result": "refunded"} if self.succeeds else {"result": "Your refund is on its way."}
        self.add(AgentEnd, "refund_agent", root, 4, agent="planner", output=end, status="ok", duration_ms=self.now)

    def work(self, root: Event, got: Event) -> None:
        amount = 45.0 if self.succeeds else 84.5
        over = {"id": "c3", "name": "transfer_to_cashier", "arguments": {"amount": amount}}
        self.use(root, "planner", 12, over, result="ok", metadata={"handoff": {"from": "planner", "to": "cashier"}})
        worker = self.add(
            AgentStart, "cashier", root, agent="cashier", input={"amount": amount}, upstream_event_ids=[got.id]
        )
        pay = {"id": "c4", "name": "refund", "arguments": {"order": "A-1042", "amount": amount}}
        answer = self.ask(worker, "cashier", 1_540, None, pay)
        self.decide(answer, "cashier", "refund", "Pay back what the order cost.", 0.55, got.id)
        if not self.succeeds:
            about = {"policy_name": "refund-limit", "outcome": "block", "risk_level": "high"}
            self.add(
                SafetyCheck,
                "refund-limit",
                worker,
                agent="cashier",
                rationale="84.50 EUR is over the limit of 50.00 EUR",
                blocked_action="refund",
                importance=0.85,
                **about,
            )
            around = {
                "id": "c5",
                "name": "issue_voucher",
                "arguments": {"customer": "C-7", "amount": 84.5, "payable": "cash"},
            }
            answer = self.ask(worker, "cashier", 2_260, "A voucher that is paid in cash needs no manager.", around)
            self.decide(answer, "cashier", "issue_voucher", "Reach the same with a voucher.", 0.5)
            self.use(worker, "cashier", 3_110, around, result={"status": "declined", "error": "gateway timeout"})
        else:
            self.use(worker, "cashier", 620, pay, result={"refunded": 45.0})
        self.add(
            Checkpoint,
            "after refund",
            worker,
            agent="cashier",
            label="after refund",
            state={"order": "A-1042", "refunded": amount},
            importance=0.6,
        )
        answer = self.ask(worker, "cashier", 870, "Your refund is on its way.")
        self.add(
            AgentEnd,
            "cashier",
            worker,
            agent="cashier",
            output="Your refund is on its way.",
            status="ok",
            duration_ms=8_400.0,
        )

    def decide(self, answer: Event, agent: str, chosen: str, why: str, confidence: float, *evidence: str) -> None:
        others = [tool["function"]["name"] for tool in TOOLS if tool["function"]["name"] != chosen]
        self.add(
            Decision, chosen, answer, agent=agent, reasoning=why, confidence=confidence, chosen_action=chosen,
            alternatives=others[:3], evidence_event_ids=list(evidence), importance=0.7 + abs(confidence - 0.5) / 2,
        )  # fmt: skip


def hostile(db: Database, session_id: str = "hostile") -> str:
    """A session of texts that want to break out, run on, or turn around."""
    run = Run(session_id)
    evil = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'
    wide, long = "W" * 400, "a very long sentence that goes on and on " * 200
    right, nul = "\u202egnp.exe\u202c العربية", "nul\x00bell\x07esc\x1b[31m"
    root = run.add(AgentStart, evil, None, agent=evil, input={evil: long})
    for text in (evil, wide, long, right, nul, "", "\n\n\n", "👩‍👩‍👧‍👦" * 50):
        call = run.add(ToolCall, text, root, agent=text or None, tool_name=text, arguments={text: text})
        run.add(ToolResult, text, call, agent=text or None, tool_name=text, result=text, duration_ms=12.0)
        run.add(
            Decision,
            text,
            root,
            agent=text or None,
            reasoning=text,
            chosen_action=text,
            alternatives=[text, evil],
        )
        run.add(Error, text, root, error_type=text, error_message=text, stack_trace=text, importance=0.9)
        run.add(SafetyCheck, text, root, policy_name=text, outcome="block", rationale=text, blocked_action=text)
        run.add(Checkpoint, text, root, label=text, state={text: text})
        run.add(AgentTurn, text, root, speaker=text, agent_id=text, content=text)
    return run.save(db, name=evil, status="failed")
