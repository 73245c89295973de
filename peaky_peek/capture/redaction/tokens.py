"""Credentials that are known by their own shape, wherever they stand: one `Shape` for each kind.

A marker is a literal that ordinary text, ids and URLs hardly ever contain. Only where one stands is the pattern tried,
anchored there, so patterns cost nothing on a clean record. They read encoded bytes (JSON or raw bodies): no pattern
crosses a quote or ends inside an escape. What could be repeated at length is bounded, so hostile text stays cheap.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import NamedTuple

# A token begins at the edge of a word. A letter before it does not count when it ends an escape (`\nsk-`, `%3Dsk-`),
# and it must not begin with the second half of one (`\nvapi-`), which is where an odd number of backslashes stands.
_ODD = b"|".join(rb"(?<=(?<!\\)%b)" % (rb"\\" * backslashes) for backslashes in (1, 3, 5, 7))
EDGE = rb"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})|(?<=%[0-9A-F]{2}))"
EDGE += b"(?!(?:" + _ODD + b")[bfnrtu])"
_BREAK = rb"(?:\s|\\+[nrt]|%0[ADad]|[|>#])"  # a line break in text, JSON, JSON inside JSON, URLs; begins of lines


class Shape(NamedTuple):
    """One kind of credential.

    Attributes:
        kind: The word that stands for it afterwards.
        markers: Literals; every such credential has one of them.
        pattern: The proof. Its last group that took part, or else the whole match, is the credential.
        back: Where the pattern begins: so many bytes before the marker, or at the last such literal before it.
        holds: What a pattern cannot say about the credential.
    """

    kind: str
    markers: tuple[bytes, ...]
    pattern: bytes
    back: int | bytes = 0
    holds: Callable[[bytes], bool] | None = None

    @property
    def names_it(self) -> bool:
        """Whether the kind says what a credential is, not where one was found."""
        return self.kind not in ("secret", "value", "list", "bytes")


def _prefixed(kind: str, prefixes: str, body: str = "[A-Za-z0-9_-]{20,}") -> Shape:
    """A kind whose first letters say what it is."""
    markers = tuple(prefix.encode() for prefix in prefixes.split())
    starts = b"|".join(marker.replace(b".", rb"\.") for marker in markers)
    return Shape(kind, markers, EDGE + b"(?:" + starts + b")" + body.encode())


def _is_private_key(text: bytes) -> bool:
    """Tell a private key that is base64 once more, as in a kubeconfig, from a certificate."""
    return b"PRIVATE KEY" in binascii.a2b_base64(text[:64])


TOKENS = (
    _prefixed("anthropic", "sk-ant-", r"[\w-]{12,}"),
    _prefixed("openrouter", "sk-or-", r"[\w-]{12,}"),
    _prefixed("langfuse", "sk-lf-", r"[\w-]{12,}"),
    _prefixed("helicone", "sk-helicone-"),
    _prefixed("openai", "sk-proj- sk-svcacct- sk-admin- sk-None-", r"[\w-]{12,}"),
    # sk- alone also begins names of CSS classes, so what follows must have a long unbroken run.
    _prefixed("openai", "sk-", r"(?!ant-|or-|lf-|proj-|svcacct-|admin-)(?=[\w-]{0,128}[A-Za-z0-9]{16})[\w-]{20,}"),
    _prefixed("google", "AIza", r"[\w-]{30,}"),
    _prefixed("google", "ya29. GOCSPX-", r"[\w.-]{20,}"),
    _prefixed("groq", "gsk_", "[A-Za-z0-9]{20,}"),
    _prefixed("huggingface", "hf_", "[A-Za-z0-9]{20,}"),
    _prefixed("xai", "xai-"),
    _prefixed("perplexity", "pplx-"),
    _prefixed("replicate", "r8_", "[A-Za-z0-9]{30,}"),
    _prefixed("fireworks", "fw_", "[A-Za-z0-9]{20,}"),
    _prefixed("cerebras", "csk-", "[A-Za-z0-9]{30,}"),
    _prefixed("nvidia", "nvapi-"),
    _prefixed("together", "tgp_v1_"),
    _prefixed("langsmith", "lsv2_pt_ lsv2_sk_"),
    _prefixed("tavily", "tvly-"),
    _prefixed("jina", "jina_", "[A-Za-z0-9]{20,}"),
    _prefixed("firecrawl", "fc-", "[0-9a-f]{32}"),
    _prefixed("pinecone", "pcsk_"),
    _prefixed("wandb", "wandb_v1_"),
    _prefixed("databricks", "dapi", "[0-9a-f]{32}(?:-[0-9])?"),
    _prefixed("anyscale", "esecret_"),
    _prefixed("llamacloud", "llx-", "[A-Za-z0-9]{20,}"),
    _prefixed("sandbox", "e2b_", "[0-9a-f]{32,}"),
    _prefixed("browserbase", "bb_live_"),
    _prefixed("github", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_"),
    _prefixed("gitlab", "glpat- glptt- gldt- glrt-", r"[\w.-]{16,}"),
    _prefixed("atlassian", "ATATT3 ATCTT3 ATBB", "[A-Za-z0-9_=-]{24,}"),
    _prefixed("slack", "xoxb- xoxp- xoxa- xoxo- xoxr- xoxs- xoxc- xoxd- xoxe. xoxe- xapp-", "[A-Za-z0-9.-]{10,}"),
    _prefixed("slack", "hooks.slack.com", "/(?:services|workflows)/[A-Za-z0-9/_-]{16,}"),
    _prefixed("discord", "discord.com discordapp.com", r"/api/webhooks/[0-9]+/[\w-]{20,}"),
    _prefixed("stripe", "sk_live_ sk_test_ rk_live_ rk_test_ whsec_", "[A-Za-z0-9+/=]{10,}"),
    _prefixed("shopify", "shpat_ shpss_ shpca_ shppa_", "[A-Fa-f0-9]{20,}"),
    _prefixed("razorpay", "rzp_live_", "[A-Za-z0-9]{14,}"),
    _prefixed("duffel", "duffel_live_"),
    _prefixed("shippo", "shippo_live_", "[0-9a-f]{32,}"),
    _prefixed("square", "sq0atp- sq0csp-"),
    _prefixed("hubspot", "pat-na pat-eu", "[0-9]-[0-9a-f-]{36}"),
    _prefixed("sendgrid", "SG.", r"[\w-]{16,}\.[\w-]{16,}"),
    _prefixed("twilio", " ".join(f"SK{digit}" for digit in "0123456789abcdef"), "[0-9a-f]{31}"),
    _prefixed("mailgun", "key-", "[0-9a-f]{32}"),
    Shape("mailchimp", (b"-us1", b"-us2"), EDGE + rb"[0-9a-f]{32}-us[0-9]{1,2}", back=32),
    Shape("telegram", (b":AA", b"%3AAA"), rb"(?<=[0-9]{8})(?::|%3A)(AA[\w-]{32,})"),
    _prefixed("npm", "npm_", "[A-Za-z0-9]{30,}"),
    _prefixed("pypi", "pypi-", r"(?=[\w-]{0,128}[A-Za-z0-9]{20})[\w-]{20,}"),
    _prefixed("rubygems", "rubygems_", "[0-9a-f]{40,}"),
    _prefixed("docker", "dckr_pat_ dckr_oat_"),
    _prefixed("digitalocean", "dop_v1_ doo_v1_ dor_v1_", "[0-9a-f]{40,}"),
    _prefixed("heroku", "HRKU-"),
    _prefixed("netlify", "nfp_", "[A-Za-z0-9]{30,}"),
    _prefixed("supabase", "sbp_ sb_secret_"),
    _prefixed("planetscale", "pscale_tkn_ pscale_pw_ pscale_oauth_", r"[\w.=-]{20,}"),
    _prefixed("tailscale", "tskey-"),
    _prefixed("agilebits", "ops_eyJ", "[A-Za-z0-9+/=_-]{80,}"),
    _prefixed("doppler", "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", r"[\w.-]{20,}"),
    _prefixed("vault", "hvs."),
    Shape("terraform", (b".atlasv1.",), EDGE + rb"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}", back=14),
    _prefixed("pulumi", "pul-", "[0-9a-f]{40}"),
    _prefixed("grafana", "glsa_ glc_", "[A-Za-z0-9+/=_-]{24,}"),
    _prefixed("sentry", "sntrys_ sntryu_", "[A-Za-z0-9+/=_-]{24,}"),
    _prefixed("newrelic", "NRAK-"),
    _prefixed("notion", "ntn_ secret_", "[A-Za-z0-9]{32,}"),
    _prefixed("linear", "lin_api_ lin_oauth_"),
    _prefixed("figma", "figd_"),
    _prefixed("postman", "PMAK-", "[0-9a-f]{20,}-[0-9a-f]{20,}"),
    _prefixed("age", "AGE-SECRET-KEY-1", "[0-9A-Z]{40,}"),
    _prefixed("aws", "AKIA ASIA", "[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _prefixed("aws", "FwoGZXIvYXdz IQoJb3JpZ2lu bedrock-api-key- ABSK", "[A-Za-z0-9+/=_-]{40,}"),
    _prefixed("alibaba", "LTAI", "[A-Za-z0-9]{16,}"),
    Shape("azure", (b"7Q~", b"8Q~"), EDGE + rb"[\w~.-]{3}[78]Q~[\w~.-]{30,}", back=3),
    Shape("azure", (b"JQQJ99",), EDGE + rb"[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{20,}", back=52),
    _prefixed("mapbox", "sk.eyJ", r"[\w-]{20,}\.[\w-]{20,}"),
    _prefixed("logfire", "pylf_v1_", r"[\w-]{20,}"),
    _prefixed("jwt", "eyJ", r"[\w-]{8,1024}\.[\w-]{2,16384}\.[\w-]{8,}(?:\.[\w-]+)*"),
    Shape("private-key", (b"LS0tLS1C",), EDGE + rb"LS0tLS1CRUdJTi[A-Za-z0-9+/]{60,}={0,2}", holds=_is_private_key),
    Shape(
        "private-key",
        (b"-----BEGIN",),
        rb"-----BEGIN[A-Z0-9 %+]{1,40}PRIVATE(?: |%20|\+)KEY(?:(?: |%20|\+)BLOCK)?-----"
        rb"(?:BREAK|(?:Proc-Type|DEK-Info|Version|Comment): ?[\w ,.()-]+)*"
        rb"(?:(?:[A-Za-z0-9+/=]|%2[BFbf]|%3[Dd]){16,}BREAK*)+(?:[A-Za-z0-9+/=]|%2[BFbf]|%3[Dd])*BREAK*"
        rb"(?:-----END[A-Z0-9 %+]+-----BREAK?)?".replace(b"BREAK", _BREAK),
    ),
)
