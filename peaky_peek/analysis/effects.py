"""What a tool does to the world, as its call says, or its name."""

from __future__ import annotations

import re
from typing import Any

from peaky_peek.encoding import as_text
from peaky_peek.events import ToolCall
from peaky_peek.store.dtypes import SCHEMA

EFFECTS = tuple(SCHEMA["safety"]["effect"].categories)

_VERBS = {
    "send": "send mail email post publish notify message tweet share upload forward reply export",
    "pay": "pay payment charge refund purchase buy checkout withdraw transfer order invoice donate",
    "delete": "delete remove drop erase purge cancel revoke destroy truncate terminate kill wipe uninstall",
    "book": "book reserve schedule rent hold",
    "write": "write save create update insert upsert edit modify set put add append patch replace rename move copy"
    " commit push merge deploy install exchange return assign approve grant register sign change store enable disable"
    " restart close open stop start apply",
    "execute": "run execute exec eval shell bash python terminal command sql code",
    "read": "read get list find search look lookup fetch show view describe check count query load query browse is has"
    " calculate compute think validate verify summarize compare inspect select ask",
}
_EFFECT_OF = {verb: effect for effect, verbs in _VERBS.items() for verb in verbs.split()}
_LIGHT = frozenset("issue make do perform process initiate trigger place submit request handle".split())
"""Verbs that leave it to a noun to say what is done."""
_ABOUT = frozenset(
    "rules status info history details policy policies id ids log logs schema types price prices total summary terms"
    " address number".split()
)
"""What a name ends with that tells of something and does nothing, unless a verb comes before: `refund_rules`."""
_ALSO_NOUNS = frozenset(
    "mail email message share charge refund payment purchase order invoice transfer book schedule exchange return"
    " change export sql code terminal command".split()
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ONLY_READS = re.compile(
    r"\s*(select|show|explain|describe|with|pragma)\b(?!.*\b(insert|update|delete|drop|into)\b)",
    re.IGNORECASE | re.DOTALL,
)


def words(name: str) -> list[str]:
    """Return the words that a name is made of.

    >>> words("issueRefund_v2 mail.send")
    ['issue', 'refund', 'v', '2', 'mail', 'send']
    """
    return [word.lower() for word in _WORDS.findall(name[:200])]


def effect_of(call: ToolCall) -> str | None:
    """Return the effect of a call, a category of the frame; None where nobody knows, and for a handoff.

    What was recorded with the call decides: `metadata["effect"]`, or the annotations of an MCP tool; else its name.
    """
    if "handoff" in call.metadata:
        return None
    told = call.metadata.get("effect")
    if told in EFFECTS:
        return as_text(told)
    named = _by_name(as_text(call.tool_name or call.name))
    if named == "execute" and _only_reads(call.arguments):
        named = "read"
    hints = call.metadata.get("annotations") or call.data.get("annotations")
    if not isinstance(hints, dict):
        return named
    if hints.get("readOnlyHint") is True:
        return "read"
    if hints.get("destructiveHint") is True and named in (None, "read", "write"):
        return "delete"
    return "write" if hints.get("readOnlyHint") is False and named in (None, "read") else named


def _by_name(name: str) -> str | None:
    """Return what the first verb of a name does."""
    said = words(name)
    if said[:2] == ["transfer", "to"]:
        return None  # an agent or a person takes over
    if len(said) > 1 and said[0] in _ALSO_NOUNS and said[-1] in _ABOUT:
        return "read"
    light = False
    for word in said:
        if word in _EFFECT_OF:
            return _EFFECT_OF[word]
        light = light or word in _LIGHT
    return "write" if light else None


def _only_reads(arguments: Any) -> bool:
    """Tell whether what is run is a query that changes nothing."""
    texts = arguments.values() if isinstance(arguments, dict) else [arguments]
    return any(isinstance(text, str) and _ONLY_READS.match(text[:5_000]) is not None for text in texts)
