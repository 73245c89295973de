"""Code written for the tool of the same name runs with the import name changed."""

from __future__ import annotations

import peaky_peek as pp


async def test_the_decorator() -> None:
    from peaky_peek import trace

    @trace
    async def my_agent(prompt: str) -> str:
        return f"answer to {prompt}"

    assert await my_agent("why?") == "answer to why?"
    assert pp.sessions().name.tolist() == ["my_agent"]


async def test_the_context_manager() -> None:
    from peaky_peek import trace_session

    async with trace_session("weather_agent") as ctx:
        await ctx.record_decision(
            reasoning="User asked for weather",
            confidence=0.9,
            chosen_action="call_weather_api",
            evidence=[{"source": "user_input", "content": "What's the weather?"}],
        )
        await ctx.record_tool_call("weather_api", {"city": "Seattle"})
        await ctx.record_tool_result("weather_api", result={"temp": 52, "forecast": "rain"})
    assert pp.events("weather_agent").event_type.tolist() == [
        "agent_start", "decision", "tool_call", "tool_result", "agent_end",
    ]  # fmt: skip


async def test_the_trace_context() -> None:
    from peaky_peek import TraceContext, init

    init(db=pp.status()["store"])
    async with TraceContext(agent_name="weather_agent", framework="custom", session_id="mine") as ctx:
        policy = await ctx.record_prompt_policy(
            template_id="tool-guard-v4", policy_parameters={"allow": False}, speaker="controller", goal="guard"
        )
        asked = await ctx.record_llm_request(
            model="gpt-4o", messages=[{"role": "user", "content": "Delete all."}], settings={"temperature": 0.0},
            upstream_event_ids=[policy],
        )  # fmt: skip
        await ctx.record_llm_response(
            model="gpt-4o", content="I'll do it.", usage={"input_tokens": 85, "output_tokens": 19}, cost_usd=0.0015,
            duration_ms=620, upstream_event_ids=[asked], parent_id=asked,
        )  # fmt: skip
        ctx.set_parent(asked)
        await ctx.create_checkpoint(state={"location": "Seattle"}, importance=0.9)
        await ctx.record_tool_result("weather_api", result={"temp_c": 14}, duration_ms=120)
    assert ctx.session_id == "mine"
    call = pp.llm_calls("mine").iloc[0]
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (85, 19, 0.0015)
    assert pp.events("mine", types="checkpoint").parent_id.item() == asked.id
    assert pp.sessions().status.tolist() == ["completed"]
