"""The adapters of the tool of the same name, for code that uses them; without them frameworks are recorded as well.

Example:
    from peaky_peek.adapters import LangChainTracingHandler

    agent.invoke(question, config={"callbacks": [LangChainTracingHandler(session_id="my-session")]})
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from peaky_peek.errors import NotInstalled

_MODULES = {
    "LangChainTracingHandler": ("langchain_handler", "langchain-core"),
    "PeekSpanProcessor": ("otel", "peaky-peek-jupyter[otel]"),
    "PydanticAIAdapter": ("pydantic_ai_adapter", "pydantic-ai-slim"),
}
"""Where each is made when it is first asked for, not before its framework is there, and what has to be installed."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, distribution = _MODULES[name]
    try:
        made = import_module(f"peaky_peek.capture.frameworks.{module}").adapter()
    except ModuleNotFoundError as missing:
        raise NotInstalled(
            f"{name} needs what is not installed here ({missing}): pip install '{distribution}'"
        ) from None
    globals()[name] = made
    return made
