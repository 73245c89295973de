"""Who is behind a URL."""

from __future__ import annotations

import re

_HOST = re.compile(
    r"https?://(?:[^/?#]*\.)?(azure|deepseek|openrouter|groq|mistral|together|fireworks|cerebras)\.[a-z]+[:/]"
)
_DEPLOYMENT = re.compile(r"/deployments/([^/?]+)/")


def provider(url: str) -> str:
    """Return the name of the provider behind a URL; a host we do not know speaks OpenAI's language.

    >>> provider("https://api.deepseek.com/chat/completions"), provider("http://127.0.0.1:8000/v1/chat/completions")
    ('deepseek', 'openai')
    """
    host = _HOST.match(url)
    return host[1] if host else "openai"


def deployment(url: str) -> str | None:
    """Return the model that a URL of Azure names, None when it names none.

    >>> deployment("https://ours.openai.azure.com/openai/deployments/our-gpt/chat/completions")
    'our-gpt'
    """
    found = _DEPLOYMENT.search(url)
    return found[1] if found else None
