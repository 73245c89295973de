"""A support agent refunds an order: the gateway fails, the tool swallows that, and everybody is told it worked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import peaky_peek as pp
from peaky_peek.demo.agent import Tool, run_agent
from peaky_peek.demo.script import call, in_turn, say
from peaky_peek.demo.story import Mark, Story

if TYPE_CHECKING:
    from openai import OpenAI

SYSTEM = "You are the support agent of a lamp shop. Solve the ticket with the tools, then tell the customer."
TICKET = "T-88, from ada@home.example: the lamp of my order A-1042 arrived broken. Please refund it. Ada Okafor"

ledger: dict[str, float] = {}


@pp.tool
def find_customer(field: str, value: str) -> dict[str, Any]:
    """The customer with this email or name."""
    customer = {"id": "C-7", "name": "Ada Okafor", "email": "ada.okafor@work.example"}
    if customer.get(field) != value:
        raise LookupError(f"no customer has the {field} {value!r}")
    return customer


@pp.tool
def get_order(order: str) -> dict[str, Any]:
    """What was ordered, and how it was paid."""
    return {"order": order, "customer": "C-7", "item": "reading lamp", "paid": 84.5, "currency": "EUR", "by": "card"}


@pp.tool
def refund_rules(reason: str) -> dict[str, Any]:
    """What may be refunded without asking a manager."""
    return {"reason": reason, "limit": 200, "currency": "EUR", "within_days": 30}


def charge_back(order: str, amount: float) -> dict[str, Any]:
    """The payment gateway, on a bad day."""
    raise ConnectionError(f"the gateway closed the connection before {amount} EUR for {order} went through")


@pp.tool
def issue_refund(order: str, amount: float) -> dict[str, Any]:
    """Pay an amount back to the card an order was paid with."""
    try:
        receipt = charge_back(order, amount)
    except ConnectionError:
        return {}  # the bug of this story: a failure that looks like an answer
    ledger[order] = amount
    return receipt


@pp.tool
def close_ticket(ticket: str, resolution: str) -> dict[str, Any]:
    """Close a ticket."""
    return {"ticket": ticket, "status": "closed", "resolution": resolution}


@pp.tool
def send_mail(to: str, text: str) -> dict[str, Any]:
    """Write to a customer."""
    return {"to": to, "characters": len(text), "status": "sent"}


TOOLS: list[Tool] = [find_customer, get_order, refund_rules, issue_refund, close_ticket, send_mail]


def run(client: OpenAI) -> None:
    """Record the ticket, and judge the run by the ledger."""
    ledger.clear()
    with pp.trace_session("refund order A-1042", framework="openai", input=TICKET) as session:
        session.output = run_agent(
            client,
            model="gpt-4o-mini",
            system=SYSTEM,
            question=TICKET,
            tools=TOOLS,
        )
        if "A-1042" not in ledger:
            session.outcome("fail", note="the ledger has no refund for A-1042")


MAIL = "Dear Ada, sorry about the lamp. 84.50 EUR are on their way back to your card."

STORY = Story(
    key="silent-tool",
    title="a tool that fails silently, and an agent that claims success",
    session="refund order A-1042",
    mechanism="silent tool failure",
    look="issue_refund answered {}",
    cause=Mark("tool_result", '"tool_name": "issue_refund"', "the refund failed, and the tool answers {}"),
    symptom=Mark("llm_response", "Done: 84.50 EUR", "claims a refund that was never paid"),
    distractor=Mark("tool_result", "no customer has the email", "the email is unknown; the name finds the customer"),
    script=in_turn(
        call("find_customer", because="Who is writing?", field="email", value="ada@home.example"),
        call("find_customer", because="Another address, then. By name.", field="name", value="Ada Okafor"),
        call("get_order", order="A-1042"),
        call("refund_rules", because="Broken on arrival. May I refund 84.50 EUR?", reason="damaged"),
        call("issue_refund", because="Below the limit.", order="A-1042", amount=84.5),
        call("close_ticket", ticket="T-88", resolution="refunded 84.50 EUR"),
        call("send_mail", to="ada.okafor@work.example", text=MAIL),
        say("Done: 84.50 EUR refunded to Ada's card, ticket T-88 closed, customer informed."),
    ),
    run=run,
)
