"""A planner reads about an allergy and leaves it out of its plan; the critic checks only what the plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import peaky_peek as pp
from peaky_peek.demo.agent import run_agent
from peaky_peek.demo.script import Reply, Request, call, in_turn, say
from peaky_peek.demo.story import Mark, Story

if TYPE_CHECKING:
    from openai import OpenAI

PLANNER = "You plan dinners for teams. Read the guest list, find a restaurant, and write a plan of two sentences."
CRITIC = "You check a plan before it is booked. Answer 'approved', or say what has to change."


@pp.tool
def read_guest_list(team: str) -> dict[str, Any]:
    """Who comes, and what to know about them."""
    notes = ["Jon: vegetarian", "Li: vegetarian", "Mara: severe peanut allergy", "Tom: may be 10 minutes late"]
    return {"team": team, "guests": 12, "day": "Thursday", "notes": notes}


@pp.tool
def find_restaurants(seats: int) -> list[dict[str, Any]]:
    """Restaurants with a free table."""
    return [
        {
            "name": "Lemongrass House",
            "seats": seats + 2,
            "dishes": ["satay", "peanut curry", "pad thai"],
            "per_head": {"with aperitif": 46, "without": 44},
        },
        {
            "name": "Trattoria Nove",
            "seats": seats,
            "dishes": ["pasta", "risotto", "grilled vegetables"],
            "per_head": {"with aperitif": 48, "without": 45},
        },
    ]


@pp.tool
def check_budget(per_head: float, guests: int) -> dict[str, Any]:
    """Whether the price with service stays in the budget."""
    total = round(per_head * guests * 1.1, 2)
    return {"total": total, "budget": 600, "within_budget": total <= 600}


@pp.tool
def check_vegetarian(restaurant: str) -> dict[str, Any]:
    """Whether vegetarians find something to eat."""
    return {"restaurant": restaurant, "vegetarian_dishes": 5}


@pp.tool
def book_table(restaurant: str, seats: int) -> dict[str, Any]:
    """Book a table."""
    return {"restaurant": restaurant, "seats": seats, "confirmation": "LH-5519"}


@pp.tool
def collect_replies(restaurant: str) -> list[dict[str, Any]]:
    """What the guests answer to the invitation."""
    no = f"I cannot eat at {restaurant}: peanuts in every dish. It is in my notes!"
    return [{"guest": "Jon", "coming": True, "reply": "Great"}, {"guest": "Mara", "coming": False, "reply": no}]


def run(client: OpenAI) -> None:
    """Record planner and critic until the critic approves, then book and invite."""

    @pp.trace(name="planner")
    def plan(request: str) -> str:
        return run_agent(
            client,
            model="gpt-4.1",
            system=PLANNER,
            question=request,
            tools=[read_guest_list, find_restaurants],
        )

    @pp.trace(name="critic")
    def review(proposal: str) -> str:
        return run_agent(
            client,
            model="gpt-4.1-mini",
            system=CRITIC,
            question=proposal,
            tools=[check_budget, check_vegetarian],
        )

    request = "A dinner for the platform team on Thursday, at most 600 EUR."
    with pp.trace_session("team dinner", framework="openai", input=request) as session:
        verdict, proposal = "", ""
        for turn in range(2):
            proposal = plan(request if turn == 0 else f"{request}\nYour plan: {proposal}\nThe critic: {verdict}")
            session.record_agent_turn("planner", "planner", turn, content=proposal)
            verdict = review(proposal)
            session.record_agent_turn("critic", "critic", turn, content=verdict)
        session.output = proposal
        book_table("Lemongrass House", 12)
        if not all(reply["coming"] for reply in collect_replies("Lemongrass House")):
            session.outcome("fail", note="a guest cannot eat there")


FIRST_PLAN = "Lemongrass House on Thursday for 12, with aperitif at 46 EUR a head. Two guests are vegetarian."
SECOND_PLAN = "Lemongrass House on Thursday for 12, without aperitif at 44 EUR a head. Two guests are vegetarian."


def script(request: Request) -> Reply:
    """Planner and critic are told apart by their prompts, the first and the second round by the price."""
    if request.system == PLANNER and "The critic" in request.question:
        return say(SECOND_PLAN)
    if request.system == PLANNER:
        return _planner(request)
    return _first_review(request) if "46 EUR" in request.question else _second_review(request)


_planner = in_turn(
    call("read_guest_list", because="Who comes?", team="platform"),
    call("find_restaurants", because="A table for 12.", seats=12),
    say(FIRST_PLAN),
)
_first_review = in_turn(
    call("check_budget", because="First the money.", per_head=46, guests=12),
    say("The total with service is 607.20 EUR, above the budget of 600 EUR."),
)
_second_review = in_turn(
    call("check_budget", per_head=44, guests=12),
    call("check_vegetarian", because="Two guests are vegetarian.", restaurant="Lemongrass House"),
    say("approved"),
)

STORY = Story(
    key="lost-fact",
    title="a planner and a critic that lose a fact in the handoff",
    session="team dinner",
    mechanism="lost handoff",
    look="the allergy is in the guest list, not in the plan",
    cause=Mark("llm_response", FIRST_PLAN, "the plan leaves out the peanut allergy that the planner has read"),
    symptom=Mark("tool_result", "peanuts in every dish", "a guest cannot eat there"),
    distractor=Mark("tool_result", '"within_budget": false', "over budget at first; the second plan is not"),
    script=script,
    run=run,
)
