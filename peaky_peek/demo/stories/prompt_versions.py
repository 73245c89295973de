"""An expense clerk in two versions of its prompt: the shorter one no longer says to convert currencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import peaky_peek as pp
from peaky_peek.demo.agent import run_agent
from peaky_peek.demo.script import Reply, Request, call, in_turn, say
from peaky_peek.demo.story import Mark, Story

if TYPE_CHECKING:
    from openai import OpenAI

PROMPTS = {
    "v1": "You book invoices. Convert every amount to EUR with get_exchange_rate, check the limit, then book it.",
    "v2": "You book invoices, quickly and with few tool calls. Check the limit, then book it, in EUR.",
}
INVOICES = {
    "INV-201": (120.0, "EUR"),
    "INV-202": (410.0, "CHF"),
    "INV-203": (300.0, "USD"),
    "INV-204": (89.9, "EUR"),
    "INV-205": (250.0, "GBP"),
    "INV-206": (48_000.0, "JPY"),
}
RATES = {"EUR": 1.0, "CHF": 1.06, "USD": 0.92, "GBP": 1.17, "JPY": 0.0061}

ledger: dict[str, float] = {}


@pp.tool
def find_invoice(number: str) -> dict[str, Any]:
    """Where an invoice is filed."""
    return {"file": f"{number}.pdf", "warning": "looks like a duplicate of INV-198, which is cancelled"}


@pp.tool
def read_invoice(file: str) -> dict[str, Any]:
    """What is to be paid."""
    amount, currency = INVOICES[file.removesuffix(".pdf")]
    return {"vendor": "Norden Paper", "amount": amount, "currency": currency}


@pp.tool
def get_exchange_rate(currency: str) -> dict[str, Any]:
    """How many EUR one unit of a currency is worth today."""
    if currency == "JPY":
        raise ConnectionError("the rate service is down for JPY")
    return {"currency": currency, "eur": RATES[currency]}


@pp.tool
def check_limit(amount_eur: float) -> dict[str, Any]:
    """Whether an amount may be booked without a signature."""
    return {"amount_eur": amount_eur, "limit_eur": 2000, "allowed": amount_eur <= 2000}


@pp.tool
def book_expense(number: str, amount_eur: float) -> dict[str, Any]:
    """Write an amount into the ledger."""
    ledger[number] = amount_eur
    return {"number": number, "booked_eur": amount_eur, "entry": number.replace("INV", "E")}


def run(client: OpenAI) -> None:
    """Record six invoices with either prompt, and judge each run by what the ledger says."""
    for version, prompt in PROMPTS.items():
        ledger.clear()
        for number, (amount, currency) in INVOICES.items():
            with pp.trace_session(
                f"book {number}", framework="openai", task="book an invoice", version=version, input=number
            ) as session:
                session.record_prompt_policy(f"expense-clerk/{version}", {"prompt": prompt})
                session.output = run_agent(
                    client,
                    model="gpt-4o-mini",
                    system=prompt,
                    question=f"Book {number}.",
                    tools=[find_invoice, read_invoice, get_exchange_rate, check_limit, book_expense],
                )
                due, booked = round(amount * RATES[currency], 2), ledger.get(number)
                if booked == due:
                    session.outcome("pass", score=1.0)
                else:
                    session.outcome("fail", score=0.0, note=f"{due:.2f} EUR due, {booked or 0:.2f} EUR booked")


def script(request: Request) -> Reply:
    """The first prompt converts, the second one does not."""
    number = request.question.removeprefix("Book ").removesuffix(".")
    amount, currency = INVOICES[number]
    converts = request.system == PROMPTS["v1"] and currency != "EUR"
    amount_eur = round(amount * RATES[currency], 2) if converts else amount
    steps = [
        call("find_invoice", number=number),
        call("read_invoice", because="INV-198 is cancelled, so this one counts.", file=f"{number}.pdf"),
        call("check_limit", because=f"{currency} {amount:.2f} to book.", amount_eur=amount_eur),
        call("book_expense", because="Within the limit.", number=number, amount_eur=amount_eur),
        say(f"{number} is booked: {amount_eur:.2f} EUR."),
    ]
    if converts:
        steps.insert(2, call("get_exchange_rate", because="Not in EUR yet.", currency=currency))
    if converts and currency == "JPY":
        steps[3:] = [say(f"{number} is not booked: there is no rate for JPY today.")]
    elif amount_eur > 2000:
        steps[3:] = [say(f"{number} is not booked: {amount_eur:.2f} EUR is above the limit of 2000 EUR.")]
    return in_turn(*steps)(request)


STORY = Story(
    key="prompt-versions",
    title="one task in two versions of the prompt",
    session="book INV-205",
    mechanism="lost instruction",
    look="v2 never calls get_exchange_rate",
    cause=Mark("decision", "GBP 250.00 to book", "takes 250 GBP for 250 EUR: v2 of the prompt does not say to convert"),
    symptom=Mark("llm_response", "INV-205 is booked: 250.00 EUR", "42.50 EUR too little"),
    distractor=Mark("tool_result", "duplicate of INV-198", "the warning stands in the passing runs as well"),
    script=script,
    run=run,
)
