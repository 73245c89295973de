"""The adapters are there when their framework is, and say what is missing when it is not."""

from __future__ import annotations

import sys

import pytest

from peaky_peek import adapters
from peaky_peek.errors import PeekError


@pytest.mark.parametrize(
    ("name", "needs", "package"),
    [
        ("LangChainTracingHandler", "langchain_core", "langchain-core"),
        ("PeekSpanProcessor", "opentelemetry", r"peaky-peek-jupyter\[otel\]"),
        ("PydanticAIAdapter", "pydantic_ai", "pydantic-ai-slim"),
    ],
)
def test_an_adapter_without_its_framework_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str, needs: str, package: str
) -> None:
    monkeypatch.delitem(vars(adapters), name, raising=False)
    for module in [each for each in sys.modules if each.partition(".")[0] == needs]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, needs, None)
    with pytest.raises(PeekError, match=rf"{name} needs .*pip install '{package}'") as caught:
        getattr(adapters, name)
    assert isinstance(caught.value, ImportError)


def test_an_adapter_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Typo"):
        _ = adapters.Typo
