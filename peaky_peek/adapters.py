"""The adapters of the tool of the same name, for code that uses them; without them frameworks are recorded as well.

Example:
    from peaky_peek.adapters import LangChainTracingHandler

    agent.invoke(question, config={"callbacks": [LangChainTracingHandler(session_id="my-session")]})
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "LangChainTracingHandler": "langchain_handler", "PeekSpanProcessor": "otel",
    "PydanticAIAdapter": "pydantic_ai_adapter",
}  # fmt: skip
"""Where each is made when it is first asked for: not before its framework is there."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = import_module(f"peaky_peek.capture.frameworks.{_MODULES[name]}").adapter()
    globals()[name] = made
    return made
