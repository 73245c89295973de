"""What a provider's module says of tools where its format has none: plain text, embeddings."""

from __future__ import annotations

from typing import Any

from peaky_peek.capture.providers.fields import ToolReturn


def calls(messages: list[Any]) -> dict[str, dict[str, Any]]:  # noqa: ARG001 - as every provider is asked
    """Return no tool calls."""
    return {}


def returns(messages: list[Any]) -> list[ToolReturn]:  # noqa: ARG001
    """Return no tool results."""
    return []


def tool_names(tools: list[Any]) -> list[str]:  # noqa: ARG001
    """Return no names: no tools are offered."""
    return []
