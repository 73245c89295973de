"""The same agent in every framework: `helper`, with a tool that answers and one that raises, as its users build it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.loopback import Loopback

QUESTION = "How is Rome?"


def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


def book(city: str) -> str:
    """Books a room."""
    raise ValueError(f"no room in {city}")


async def autogen(server: Loopback) -> None:
    """AutoGen."""
    from autogen_agentchat.agents import AssistantAgent
    from autogen_core.models import ModelInfo
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    info = ModelInfo(vision=False, function_calling=True, json_output=True, family="gpt-4o", structured_output=True)
    client = OpenAIChatCompletionClient(
        model="gpt-4o-mini", base_url=server.url, api_key="test", max_retries=0, model_info=info
    )
    try:
        await AssistantAgent("helper", client, tools=[weather, book], reflect_on_tool_use=True).run(task=QUESTION)
    finally:
        await client.close()


async def crewai(server: Loopback) -> None:
    """CrewAI: a crew of one agent and one task."""
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool

    model = LLM(model="openai/gpt-4o-mini", base_url=server.url, api_key="test", max_retries=0)
    agent = Agent(
        role="helper",
        goal="help",
        backstory="you help",
        tools=[tool(weather), tool(book)],
        llm=model,
        max_retry_limit=0,
    )
    await Crew(agents=[agent], tasks=[Task(description=QUESTION, expected_output="words", agent=agent)]).akickoff()


async def langchain(server: Loopback) -> None:
    """LangChain; a tool's exception is told to the model, as it is in the others."""
    from langchain.agents import create_agent
    from langchain.agents.middleware import wrap_tool_call
    from langchain.messages import ToolMessage
    from langchain_openai import ChatOpenAI

    @wrap_tool_call
    async def tell(request: Any, handler: Any) -> Any:
        try:
            return await handler(request)
        except ValueError as error:
            return ToolMessage(str(error), tool_call_id=request.tool_call["id"], status="error")

    model = ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key="test", max_retries=0)
    agent = create_agent(model, [weather, book], name="helper", middleware=[tell])
    await agent.ainvoke({"messages": [{"role": "user", "content": QUESTION}]})


async def llama_index(server: Loopback) -> None:
    """LlamaIndex."""
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.llms.openai import OpenAI

    model = OpenAI(model="gpt-4o-mini", api_base=server.url, api_key="test", max_retries=0)
    await FunctionAgent(name="helper", tools=[weather, book], llm=model, streaming=False).run(QUESTION)


async def openai_agents(server: Loopback) -> None:
    """OpenAI Agents SDK."""
    from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_trace_processors
    from openai import AsyncOpenAI

    set_trace_processors([])  # the SDK's own would send the runs to OpenAI
    async with AsyncOpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        model = OpenAIChatCompletionsModel("gpt-4o-mini", client)
        await Runner.run(Agent("helper", model=model, tools=[function_tool(weather), function_tool(book)]), QUESTION)


async def pydantic_ai(server: Loopback) -> None:
    """PydanticAI; a tool's exception is told to the model, as it is in the others."""
    from openai import AsyncOpenAI
    from pydantic_ai import Agent, ModelRetry
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def book(city: str) -> str:
        """Books a room."""
        raise ModelRetry(f"no room in {city}")

    async with AsyncOpenAI(base_url=server.url, api_key="test", max_retries=0) as client:
        model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(openai_client=client))
        await Agent(model, name="helper", tools=[weather, book]).run(QUESTION)


RUN: dict[str, Callable[[Loopback], Awaitable[None]]] = {
    each.__name__: each for each in (autogen, crewai, langchain, llama_index, openai_agents, pydantic_ai)
}
"""Asks the agent once, by the name that its sessions have in the framework column."""
