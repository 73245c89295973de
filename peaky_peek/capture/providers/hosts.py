"""Who is behind a URL."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_PROVIDERS = {
    "anthropic.com": "anthropic", "azure.cn": "azure", "azure.com": "azure", "azure.us": "azure",
    "cerebras.ai": "cerebras", "cohere.ai": "cohere",
    "cohere.com": "cohere", "deepseek.com": "deepseek", "fireworks.ai": "fireworks", "googleapis.com": "google",
    "groq.com": "groq", "mistral.ai": "mistral", "moonshot.ai": "moonshotai", "moonshot.cn": "moonshotai",
    "openrouter.ai": "openrouter", "perplexity.ai": "perplexity", "together.ai": "together",
    "together.xyz": "together", "voyageai.com": "voyageai", "x.ai": "x-ai",
}  # fmt: skip
"""Domains, and the names that the price table has for those who sell there."""
_DEPLOYMENT = re.compile(r"/deployments/([^/?]+)/")


def provider(url: str) -> str:
    """Return the name of the provider behind a URL; a host we do not know speaks OpenAI's language.

    >>> provider("https://api.deepseek.com/chat/completions"), provider("http://127.0.0.1:8000/v1/chat/completions")
    ('deepseek', 'openai')
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return "openai"
    return _PROVIDERS.get(".".join(host.split(".")[-2:]), "openai")


def deployment(url: str) -> str | None:
    """Return the model that a URL of Azure names, None when it names none.

    >>> deployment("https://ours.openai.azure.com/openai/deployments/our-gpt/chat/completions")
    'our-gpt'
    """
    found = _DEPLOYMENT.search(url)
    return found[1] if found else None
