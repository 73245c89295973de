"""Who is behind a URL."""

from __future__ import annotations

import re

_HOST = re.compile(
    r"https?://(?:[^/?#]*\.)?(azure|deepseek|openrouter|groq|mistral|together|fireworks|cerebras)\.[a-z]+[:/]"
)


def provider(url: str) -> str:
    """Return the name of the provider behind a URL; a host we do not know speaks OpenAI's language.

    >>> provider("https://api.deepseek.com/chat/completions"), provider("http://127.0.0.1:8000/v1/chat/completions")
    ('deepseek', 'openai')
    """
    host = _HOST.match(url)
    return host[1] if host else "openai"
