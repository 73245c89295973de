"""A travel agent holds a flight that lands a day later and a hotel for the day it starts; it keeps checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import peaky_peek as pp
from peaky_peek.demo.agent import Tool, act, schema
from peaky_peek.demo.script import busy, call, in_turn, say
from peaky_peek.demo.story import Mark, Story

if TYPE_CHECKING:
    from openai import OpenAI

SYSTEM = "You book trips. Hold a flight, a hotel and a transfer, one after the other, then confirm the trip."
QUESTION = "Boston to Lisbon on 13 May 2026, three nights in a hotel."

trip: dict[str, dict[str, Any]] = {}


@pp.tool
def search_flights(origin: str, destination: str, date: str) -> list[dict[str, Any]]:
    """Flights that start on a day."""
    return [
        {"flight": "TP 218", "departs": f"{origin} {date} 21:30", "arrives": f"{destination} 2026-05-14 09:05"},
        {"flight": "IB 340", "departs": f"{origin} {date} 17:10", "arrives": f"{destination} 2026-05-14 10:40"},
    ]


@pp.tool
def hold_flight(flight: str) -> dict[str, Any]:
    """Hold a seat."""
    trip["flight"] = {"flight": flight, "arrives": "2026-05-14 09:05", "price": 540}
    return trip["flight"]


@pp.tool
def search_hotels(city: str, check_in: str, nights: int) -> list[dict[str, Any]]:
    """Hotels with a free room."""
    return [{"hotel": "Casa do Rio", "city": city, "check_in": check_in, "nights": nights, "per_night": 118}]


@pp.tool
def hold_hotel(hotel: str, check_in: str, nights: int) -> dict[str, Any]:
    """Hold a room."""
    trip["hotel"] = {"hotel": hotel, "check_in": check_in, "nights": nights, "price": 121 * nights}
    return trip["hotel"] | {"warning": "the price changed from 118 to 121 EUR a night"}


@pp.tool
def hold_transfer(arrival: str) -> dict[str, Any]:
    """Hold a car from the airport."""
    trip["transfer"] = {"at": arrival, "price": 28}
    return trip["transfer"]


@pp.tool
def confirm_trip(traveller: str) -> dict[str, Any]:
    """Pay for everything that is held."""
    lands, check_in = trip["flight"]["arrives"][:10], trip["hotel"]["check_in"]
    if lands != check_in:
        raise ValueError(f"the hotel expects {traveller} on {check_in}, but the flight lands on {lands}")
    return {"traveller": traveller, "confirmed": True}


TOOLS: list[Tool] = [search_flights, hold_flight, search_hotels, hold_hotel, hold_transfer, confirm_trip]


def run(client: OpenAI) -> None:
    """Record the booking, streamed, with a checkpoint whenever something more is held."""
    trip.clear()
    messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    schemas: list[Any] = [schema(tool) for tool in TOOLS]
    with pp.trace_session("trip to Lisbon", framework="openai", input=QUESTION) as session:
        session.checkpoint({"trip": {}, "messages": messages}, label="before anything is held")
        while True:
            with client.chat.completions.stream(
                model="gpt-4.1-mini", messages=messages, tools=schemas, stream_options={"include_usage": True}
            ) as stream:
                message = stream.get_final_completion().choices[0].message
            messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
            if not message.tool_calls:
                break
            held = len(trip)
            messages += [act(TOOLS, tool_call) for tool_call in message.tool_calls]
            if len(trip) > held:
                session.checkpoint({"trip": trip, "messages": messages}, label=f"{list(trip)[-1]} held")
        session.output = message.content
        session.outcome("fail", note="nothing is confirmed")


STORY = Story(
    key="wrong-date",
    title="a wrong date between two checkpoints",
    session="trip to Lisbon",
    mechanism="wrong argument",
    look="the flight lands on the 14th, the hotel starts on the 13th",
    cause=Mark("decision", "Now a hotel for three nights from the 13th", "takes the day of departure for check-in"),
    symptom=Mark("tool_result", "but the flight lands on 2026-05-14", "the trip cannot be confirmed"),
    distractor=Mark("tool_result", "the price changed", "three EUR a night more do not stop the booking"),
    script=in_turn(
        call("search_flights", because="First the flight.", origin="BOS", destination="LIS", date="2026-05-13"),
        call("hold_flight", because="TP 218 is the shorter one.", flight="TP 218"),
        call(
            "search_hotels",
            because="Now a hotel for three nights from the 13th.",
            city="Lisbon",
            check_in="2026-05-13",
            nights=3,
        ),
        call("hold_hotel", hotel="Casa do Rio", check_in="2026-05-13", nights=3),
        busy(call("hold_transfer", because="A car from the airport.", arrival="2026-05-14 09:05")),
        call("confirm_trip", because="Everything is held.", traveller="Sam"),
        say("I could not confirm the trip: the hotel and the flight do not fit. Nothing has been paid."),
    ),
    run=run,
)
