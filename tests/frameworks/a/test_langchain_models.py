"""Models of LangChain: every provider and way to ask, in chains and alone, seen by the wire or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.caches import InMemoryCache
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import ToolException, tool

import peaky_peek as pp
from peaky_peek.capture import frameworks
from peaky_peek.store import Database
from tests.frameworks.langchain_agents import ASK, agent, book, calls, model, weather
from tests.frameworks.trees import events, outline, sessions, tree
from tests.loopback import Loopback, error, function_call, message, response, response_stream
from tests.replies import anthropic_message, anthropic_stream, host, tool_use


@pytest.fixture(autouse=True)
def adapter(hook: None) -> Iterator[None]:
    frameworks.install(frozenset({"langchain"}))
    yield
    frameworks.uninstall()


class Scripted(GenericFakeChatModel):
    """A model in the process that takes tools."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self.bind(tools=[{"type": "function", "function": {"name": each.name}} for each in tools])


def claude(server: Loopback) -> ChatAnthropic:
    return ChatAnthropic(model="claude-sonnet-4-6", base_url=host(server), api_key="test", max_retries=0)


def test_a_chain_is_no_step_and_its_model_is_in_what_is_around(server: Loopback, store: Database) -> None:
    server.answer(message("Sunny."), message("Rainy."))
    chain = ChatPromptTemplate.from_template("How is {city}?") | model(server) | StrOutputParser()
    with pp.trace_session("mine"):
        assert chain.invoke({"city": "Paris"}) == "Sunny."
    assert chain.invoke({"city": "Rome"}) == "Rainy."
    first, second = sessions(store)
    assert outline(store, states=False) == tree(f"""
        session mine completed
          agent mine
            llm gpt-4o-mini 11/7
        session {second["name"]} running
          llm gpt-4o-mini 11/7
    """)
    assert (first["llm_calls"], second["llm_calls"]) == (1, 1)


async def test_chains_in_batches_are_recorded_once_each(server: Loopback, store: Database) -> None:
    server.answer(*[message("Sunny.")] * 4)
    chain = ChatPromptTemplate.from_template("How is {city}?") | model(server)
    with pp.trace_session("mine"):
        chain.batch([{"city": "Paris"}, {"city": "Rome"}])
        await chain.abatch([{"city": "Bonn"}, {"city": "Oslo"}])
    asked = [event.messages[0]["content"] for event in events(store, "llm_request")]
    assert sorted(asked) == ["How is Bonn?", "How is Oslo?", "How is Paris?", "How is Rome?"]
    assert len(events(store, "llm_response")) == 4


async def test_prompts_that_are_asked_together_are_recorded_once_each(server: Loopback, store: Database) -> None:
    server.answer(*[message("Sunny.")] * 4)
    with pp.trace_session("mine"):
        model(server).generate([[HumanMessage("Paris")], [HumanMessage("Rome")]])
        await model(server).agenerate([[HumanMessage("Bonn")], [HumanMessage("Oslo")]])
    assert len(events(store, "llm_request")) == len(events(store, "llm_response")) == 4


def test_a_fallback_is_a_call_of_its_own(server: Loopback, store: Database) -> None:
    server.answer(error(500), anthropic_message("Sunny."))
    with pp.trace_session("mine"):
        answer = model(server).with_fallbacks([claude(server)]).invoke("How is Paris?")
    assert answer.content == "Sunny."
    asked = [(event.provider, event.model) for event in events(store, "llm_request")]
    assert asked == [("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-4-6")]
    assert [event.status for event in events(store, "llm_response")] == ["error", "ok"]
    assert sessions(store)[0]["status"] == "completed"


def test_a_retry_of_the_application_is_a_call_of_its_own(server: Loopback, store: Database) -> None:
    server.answer(error(500), message("Sunny."))
    with pp.trace_session("mine"):
        model(server).with_retry(stop_after_attempt=2, wait_exponential_jitter=False).invoke("How is Paris?")
    assert [event.status for event in events(store, "llm_response")] == ["error", "ok"]


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_an_agent_on_anthropic(server: Loopback, store: Database, is_stream: bool) -> None:
    reply = anthropic_stream if is_stream else anthropic_message
    server.answer(reply("I look.", tool_use("c1", "weather", city="Paris")), reply("Sunny."))
    guide = agent(server, chat=claude(server))
    if is_stream:
        list(guide.stream(ASK, stream_mode="messages"))
    else:
        guide.invoke(ASK)
    assert outline(store, states=False) == tree("""
        session guide langchain completed
          agent guide
            llm claude-sonnet-4-6 11/7
            decision weather
            tool weather {'city': 'Paris'} -> 'sunny in Paris'
            llm claude-sonnet-4-6 11/7
    """)
    assert events(store, "decision")[0].reasoning == "I look."


def test_an_agent_on_a_model_that_the_wire_does_not_see(store: Database) -> None:
    first = AIMessage(
        "I look.", tool_calls=[{"id": "c1", "name": "weather", "args": {"city": "Paris"}}],
        usage_metadata={
            "input_tokens": 5, "output_tokens": 3, "total_tokens": 8, "input_token_details": {"cache_read": 2},
        },
    )  # fmt: skip
    with Loopback() as server:
        guide = agent(server, chat=Scripted(messages=iter([first, AIMessage("Sunny.")])))
        guide.invoke(ASK)
    assert outline(store, states=False) == tree("""
        session guide langchain completed
          agent guide
            llm Scripted 5/3
            decision weather
            tool weather {'city': 'Paris'} -> 'sunny in Paris'
            llm Scripted
    """)
    request, response, decision = events(store, "llm_request", "llm_response", "decision")[:3]
    assert request.messages == ASK["messages"]
    assert [offered["name"] for offered in request.tools] == ["weather", "book"]
    assert response.tool_calls == [{"id": "c1", "name": "weather", "arguments": {"city": "Paris"}}]
    assert response.usage == {"input": 5, "output": 3, "cache_read": 2, "cache_write": None, "reasoning": None}
    assert (decision.reasoning, decision.alternatives) == ("I look.", ["book"])


async def test_a_model_in_the_process_streams_and_is_recorded_once(store: Database) -> None:
    chat = FakeListChatModel(responses=["Sunny.", "Rainy."])
    with pp.trace_session("mine"):
        assert "".join(chunk.content for chunk in chat.stream("How is Paris?")) == "Sunny."
        assert "".join([chunk.content async for chunk in chat.astream("And Rome?")]) == "Rainy."
    assert [event.content for event in events(store, "llm_response")] == ["Sunny.", "Rainy."]
    assert [event.messages for event in events(store, "llm_request")] == [
        [{"role": "user", "content": "How is Paris?"}], [{"role": "user", "content": "And Rome?"}],
    ]  # fmt: skip


def test_a_model_in_the_process_that_raises(store: Database) -> None:
    class Broken(FakeListChatModel):
        def _call(self, *_: Any, **__: Any) -> str:
            raise TimeoutError("out of memory")

    with pp.trace_session("mine"), pytest.raises(TimeoutError):
        Broken(responses=[]).invoke("How is Paris?")
    (answer,) = events(store, "llm_response")
    assert (answer.status, answer.complete, answer.content) == ("error", False, None)


def test_a_model_that_asks_another_is_one_call(server: Loopback, store: Database) -> None:
    class Router(BaseChatModel):
        inner: Any

        @property
        def _llm_type(self) -> str:
            return "router"

        def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
            return self.inner._generate(messages)

    server.answer(message("Sunny."))
    with pp.trace_session("mine"):
        Router(inner=model(server)).invoke("How is Paris?")
    assert [event.model for event in events(store, "llm_request")] == ["gpt-4o-mini"]


def test_an_answer_from_the_cache_costs_nothing(server: Loopback, store: Database) -> None:
    server.answer(message("Sunny.", usage={"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}))
    chat = model(server, cache=InMemoryCache())
    with pp.trace_session("mine"):
        assert chat.invoke("How is Paris?").content == chat.invoke("How is Paris?").content
    paid, cached = events(store, "llm_response")
    assert paid.cost_usd > 0
    assert (cached.content, cached.cost_usd, cached.data) == ("Sunny.", 0.0, {"cached": True})


def test_tools_that_are_run_alone(store: Database) -> None:
    with pp.trace_session("mine"):
        weather.invoke({"city": "Paris"})
        weather.invoke("Rome")
        weather.invoke({"name": "weather", "args": {"city": "Bonn"}, "id": "c1", "type": "tool_call"})
        with pytest.raises(ValueError, match="no hotel"):
            book.invoke({"city": "Oslo"})
        with pytest.raises(ValueError, match="city"):
            weather.invoke({})
    lines = outline(store).splitlines()
    assert [line.strip() for line in lines[2:6]] == [
        "tool weather {'city': 'Paris'} -> 'sunny in Paris'", "tool weather 'Rome' -> 'sunny in Rome'",
        "tool weather {'city': 'Bonn'} -> 'sunny in Bonn'",
        "tool book {'city': 'Oslo'} !! ValueError: no hotel in Oslo (error)",
    ]  # fmt: skip
    assert lines[6].strip().startswith("tool weather {} !! ValidationError: ")
    assert sessions(store)[0]["status"] == "completed"


def test_a_tool_that_says_it_failed_has_failed(server: Loopback, store: Database) -> None:
    @tool
    def find(city: str) -> str:
        """Find a hotel."""
        raise ToolException(f"no hotel in {city}")

    find.handle_tool_error = True
    server.answer(calls("c1", "find", city="Rome"), message("None."))
    agent(server, find).invoke(ASK)
    assert [line.strip() for line in outline(store).splitlines() if "tool find" in line] == [
        "tool find {'city': 'Rome'} !! no hotel in Rome (error)",
    ]  # fmt: skip


def test_what_a_tool_returns_besides_is_kept(server: Loopback, store: Database) -> None:
    @tool(response_format="content_and_artifact")
    def chart(city: str) -> tuple[str, dict[str, Any]]:
        """Draw the weather."""
        return f"drawn {city}", {"points": [1, 2]}

    server.answer(calls("c1", "chart", city="Rome"), message("There."))
    agent(server, chart).invoke(ASK)
    (result,) = events(store, "tool_result")
    assert (result.result, result.data) == ("drawn Rome", {"artifact": {"points": [1, 2]}})


def test_a_tool_of_ours_that_an_agent_runs_is_one_call(server: Loopback, store: Database) -> None:
    @tool
    @pp.tool
    def find(city: str) -> str:
        """Find a hotel."""
        return f"Ritz in {city}"

    server.answer(calls("c1", "find", city="Paris"), message("The Ritz."))
    agent(server, find).invoke(ASK)
    assert [line.strip() for line in outline(store).splitlines() if "tool find" in line] == [
        "tool find {'city': 'Paris'} -> 'Ritz in Paris'",
    ]  # fmt: skip


async def test_what_a_retriever_finds_is_the_result_of_a_tool(store: Database) -> None:
    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
            return [Document(page_content=f"about {query}", metadata={"page": 3})]

    with pp.trace_session("mine") as ctx:
        Shelf().invoke("Paris")
        await Shelf().ainvoke("Rome")
        ctx.record_decision(chosen_action="answer")
    found = events(store, "tool_result")
    assert [each.result[0]["page_content"] for each in found] == ["about Paris", "about Rome"]
    assert outline(store).splitlines()[-1] == "    decision answer (own)"


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_an_agent_on_the_responses_api(server: Loopback, store: Database, is_stream: bool) -> None:
    reply = response_stream if is_stream else response
    server.answer(reply(function_call("c1", "weather", city="Paris")), reply("Sunny."))
    guide = agent(server, chat=model(server, use_responses_api=True))
    if is_stream:
        list(guide.stream(ASK, stream_mode="messages"))
    else:
        guide.invoke(ASK)
    assert outline(store, states=False) == tree("""
        session guide langchain completed
          agent guide
            llm gpt-4o-mini 11/7
            decision weather
            tool weather {'city': 'Paris'} -> 'sunny in Paris'
            llm gpt-4o-mini 11/7
    """)
