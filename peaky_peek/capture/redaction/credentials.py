"""What credentials look like: one `Shape` for each kind, found by a literal marker and proven by a pattern.

A marker is a literal that ordinary text, ids and URLs hardly ever contain. Only where one stands is the pattern tried,
anchored there, so patterns cost nothing on a clean record. They read encoded bytes (JSON or raw bodies): no pattern
crosses a quote or ends inside an escape. What could be repeated at length is bounded, so hostile text stays cheap.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import NamedTuple

REDACTED = re.compile(rb"\[redacted:[a-z-]+:[0-9a-f]{8}\]")
"""What stands in place of a secret."""

# A token begins at the edge of a word. A letter before it does not count when it ends an escape (`\nsk-`, `%3Dsk-`),
# and it must not begin with the second half of one (`\nvapi-`), which is where an odd number of backslashes stands.
_ODD = b"|".join(rb"(?<=(?<!\\)%b)" % (rb"\\" * backslashes) for backslashes in (1, 3, 5, 7))
_EDGE = rb"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})|(?<=%[0-9A-F]{2}))"
_EDGE += b"(?!(?:" + _ODD + b")[bfnrtu])"
_BREAK = rb"(?:\s|\\+[nrt]|%0[ADad]|[|>#])"  # a line break in text, JSON, JSON inside JSON, URLs; begins of lines
_WORD = rb"[^\s\"'\\,;&<>(){}\[\]|`]"
_MIXED = b"(?=" + _WORD + b"{0,256}[0-9])(?=" + _WORD + b"{0,256}[A-Za-z])"  # letters and digits: no word, no number


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
    return Shape(kind, markers, _EDGE + b"(?:" + starts + b")" + body.encode())


def _is_login(text: bytes) -> bool:
    """Tell the base64 of `user:password` from a word that follows "Basic"."""
    try:
        login = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return False
    _, colon, password = login.partition(b":")
    return bool(colon) and login.decode("latin-1").isprintable() and _is_filled(password)


def _is_filled(value: bytes) -> bool:
    """Tell a value from what stands in its place: `<your key>`, `${API_KEY}`, `settings.password`, `***`, "pass"."""
    return not re.fullmatch(
        rb"(?i:null|none|true|false|undefined|string|str|required|optional|fake"
        rb"|(?:my|some|test|fake|dummy)?[_-]?(?:pass|passwd|password|pw|secret|token|key)[0-9]?"
        rb"|(?:enter[_ -])?your[\W_].*|<.*>|\$?\{+[^}]*\}+|\$\w+|%\w+%|(.)\1*|[a-z_]\w*(?:\.[a-z_]\w*)+"
        rb"|[a-z]+:/.*|\s*)",
        value,
        re.DOTALL,
    )


def _is_unlike_ours(items: bytes) -> bool:
    """Tell a list of values from one whose values are replaced already."""
    return bool(re.sub(rb"[\s\"'\\,]", b"", REDACTED.sub(b"", items)))


_TOKENS = (
    _prefixed("anthropic", "sk-ant-", r"[\w-]{12,}"),
    _prefixed("openrouter", "sk-or-", r"[\w-]{12,}"),
    _prefixed("langfuse", "sk-lf-", r"[\w-]{12,}"),
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
    _prefixed("github", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_"),
    _prefixed("gitlab", "glpat- gldt- glrt-", r"[\w.-]{16,}"),
    _prefixed("atlassian", "ATATT3 ATCTT3 ATBB", "[A-Za-z0-9_=-]{24,}"),
    _prefixed("slack", "xoxb- xoxp- xoxa- xoxo- xoxr- xoxs- xoxc- xoxd- xoxe. xoxe- xapp-", "[A-Za-z0-9.-]{10,}"),
    _prefixed("slack", "hooks.slack.com", "/(?:services|workflows)/[A-Za-z0-9/_-]{16,}"),
    _prefixed("discord", "discord.com discordapp.com", r"/api/webhooks/[0-9]+/[\w-]{20,}"),
    _prefixed("stripe", "sk_live_ sk_test_ rk_live_ rk_test_ whsec_", "[A-Za-z0-9+/=]{10,}"),
    _prefixed("shopify", "shpat_", "[A-Fa-f0-9]{20,}"),
    _prefixed("square", "sq0atp- sq0csp-"),
    _prefixed("sendgrid", "SG.", r"[\w-]{16,}\.[\w-]{16,}"),
    _prefixed("twilio", " ".join(f"SK{digit}" for digit in "0123456789abcdef"), "[0-9a-f]{31}"),
    _prefixed("mailgun", "key-", "[0-9a-f]{32}"),
    Shape("mailchimp", (b"-us1", b"-us2"), _EDGE + rb"[0-9a-f]{32}-us[0-9]{1,2}", back=32),
    Shape("telegram", (b":AA", b"%3AAA"), rb"(?<=[0-9]{8})(?::|%3A)(AA[\w-]{32,})"),
    _prefixed("npm", "npm_", "[A-Za-z0-9]{30,}"),
    _prefixed("pypi", "pypi-"),
    _prefixed("rubygems", "rubygems_", "[0-9a-f]{40,}"),
    _prefixed("docker", "dckr_pat_ dckr_oat_"),
    _prefixed("digitalocean", "dop_v1_ doo_v1_ dor_v1_", "[0-9a-f]{40,}"),
    _prefixed("heroku", "HRKU-"),
    _prefixed("netlify", "nfp_", "[A-Za-z0-9]{30,}"),
    _prefixed("supabase", "sbp_ sb_secret_"),
    _prefixed("planetscale", "pscale_tkn_ pscale_pw_ pscale_oauth_", r"[\w.=-]{20,}"),
    _prefixed("doppler", "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", r"[\w.-]{20,}"),
    _prefixed("vault", "hvs."),
    Shape("terraform", (b".atlasv1.",), _EDGE + rb"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}", back=14),
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
    _prefixed("aws", "FwoGZXIvYXdz IQoJb3JpZ2lu bedrock-api-key-", "[A-Za-z0-9+/=_-]{40,}"),
    _prefixed("alibaba", "LTAI", "[A-Za-z0-9]{16,}"),
    Shape("azure", (b"7Q~", b"8Q~"), _EDGE + rb"[\w~.-]{3}[78]Q~[\w~.-]{30,}", back=3),
    Shape("azure", (b"JQQJ99",), _EDGE + rb"[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{20,}", back=52),
    _prefixed("mapbox", "sk.eyJ", r"[\w-]{20,}\.[\w-]{20,}"),
    _prefixed("logfire", "pylf_v1_", r"[\w-]{20,}"),
    _prefixed("jwt", "eyJ", r"[\w-]{8,1024}\.[\w-]{2,16384}\.[\w-]{8,}(?:\.[\w-]+)*"),
    Shape(
        "private-key",
        (b"-----BEGIN",),
        rb"-----BEGIN[A-Z0-9 %+]{1,40}PRIVATE(?: |%20|\+)KEY(?:(?: |%20|\+)BLOCK)?-----"
        rb"(?:BREAK|(?:Proc-Type|DEK-Info|Version|Comment): ?[\w ,.()-]+)*"
        rb"(?:(?:[A-Za-z0-9+/=]|%2[BFbf]|%3[Dd]){16,}BREAK*)+(?:[A-Za-z0-9+/=]|%2[BFbf]|%3[Dd])*BREAK*"
        rb"(?:-----END[A-Z0-9 %+]+-----BREAK?)?".replace(b"BREAK", _BREAK),
    ),
)

# Proven by the place. All these are of one kind, so that a secret has one name wherever it stands.
_PLACES = (
    Shape("secret", (b"earer ", b"EARER "), rb"(?i:earer) +(" + _MIXED + rb"[\w.~+/=-]{8,}|[\w.~+/=-]{24,})"),
    Shape("secret", (b"Basic ",), rb"Basic +([A-Za-z0-9+/]{6,}={0,2})(?![\w+/=-])", holds=_is_login),
    Shape(
        "secret",
        (b"@",),
        rb"://(?!\[redacted:)[^\s/@:\"'\\<>]*:([^\s/?#\"'\\<>]{1,512})@(?=[\w\[.-])",
        back=b"://",
        holds=_is_filled,
    ),
    Shape("secret", (b"@",), rb"://([\w.~+=-]{20,512})@(?=\w)", back=b"://"),
    Shape(
        "secret",
        (b"sig=", b"Signature="),
        rb"(?:(?<=[?&])sig|(?<=[?&, ])Signature|(?<=X-Amz-)Signature|(?<=X-Goog-)Signature)=([\w%+/=-]{32,})",
    ),
)

_KEYS = (
    "password", "passwd", "passphrase", "pwd", "secret", "secret key", "secret access key", "api key", "access key",
    "private key", "signing key", "encryption key", "account key", "shared access key", "subscription key",
    "master key", "auth key", "authorization", "api token", "access token", "refresh token", "auth token",
    "session token", "apikey", "accesskey",
)  # fmt: skip
_KEY = rb"(?<!\[redacted:)(?i:" + b"|".join(key.replace(" ", "[_-]?").encode() for key in _KEYS) + b")"
_SCHEME = rb"(?:(?i:Bearer|Basic|Token|Bot|Digest|ApiKey|Key) +)?"  # says how, not what: it stays


def _spellings(phrase: str) -> set[bytes]:
    """Every usual way to write a key: api_key, api-key, apiKey, ApiKey, Api-Key, API_KEY, API-KEY."""
    words = phrase.split()
    titles = [word.capitalize() for word in words]
    styles = {words[0] + "".join(titles[1:]), "".join(titles), "-".join(titles)}
    for glue in ("_", "-"):
        styles |= {glue.join(words), glue.join(words).upper()}
    return {style.encode() for style in styles}


_KEY_MARKERS = tuple(sorted(set().union(*map(_spellings, _KEYS))))
_TOKEN_MARKERS = tuple(
    quote + word
    for quote in (b'"', b"'")
    for word in (b"token", b"Token", b"cookie", b"Cookie", b"set-cookie", b"Set-Cookie")
)


def _under(
    pattern: bytes, key: bytes = _KEY, markers: tuple[bytes, ...] = _KEY_MARKERS, kind: str = "secret",
    holds: Callable[[bytes], bool] = _is_filled,
) -> Shape:  # fmt: skip
    """The value under a telling key; KEY, KEYS, SCHEME, MIXED and WORD in `pattern` stand for the parts so named."""
    parts = {b"KEYS": key + b"(?i:s?)", b"KEY": key, b"SCHEME": _SCHEME, b"MIXED": _MIXED, b"WORD": _WORD}
    for name, part in parts.items():
        pattern = pattern.replace(name, part)
    return Shape(kind, markers, pattern, holds=holds)


def quoted(backslashes: int) -> tuple[bytes, bytes]:
    """Return patterns of a quote and of what stands between two, in JSON whose quotes carry so many backslashes."""
    quote = rb"\\{%d}\"" % backslashes
    return quote, rb"(?:[^\"\\]|\\{%d}(?:%b|\\{%d}|[^\"\\]))+" % (backslashes + 1, quote, backslashes + 1)


def _in_json(backslashes: int) -> tuple[Shape, ...]:
    """Values in JSON whose quotes carry so many backslashes: 0 in JSON itself, 1 if it is text in JSON, 3, 7."""
    quote, value = quoted(backslashes)
    forms = {
        rb"KEYSQ\s*:\s*QSCHEME(VALUE)Q": "secret",
        rb"KEYSQ\s*:\s*\[\s*QSCHEME(VALUE)Q\s*\]": "secret",
        rb"KEYSQ\s*:\s*\[\s*(QVALUEQ(?:\s*,\s*QVALUEQ){1,256})\s*\]": "list",
        rb"KEYSQ\s*,\s*QSCHEME(VALUE)Q\s*\](?=\s*(?:,\s*\[|\]))": "secret",  # one of many pairs
    }
    return tuple(
        _under(
            form.replace(b"Q", quote).replace(b"VALUE", value), kind=kind,
            holds=_is_unlike_ours if kind == "list" else _is_filled,
        )
        for form, kind in forms.items()
    )  # fmt: skip


_TAGGED = rb'\{"__peek__":"(?:bytes|str|repr)","value":"(?:[^"\\]|\\.)*"(?:,"type":"[^"]*")?\}'

_VALUES = (
    # JSON at any depth, Python dicts: any value.
    *(shape for backslashes in (0, 1, 3, 7) for shape in _in_json(backslashes)),
    _under(rb'KEYS"\s*:\s*([0-9]{4,})(?=\s*[,}\]])', kind="value"),
    _under(rb'KEYS"\s*:\s*(TAGGED)'.replace(b"TAGGED", _TAGGED), kind="value", holds=lambda value: b"***" not in value),
    _under(rb"KEYS(\\*')\s*:\s*b?\1SCHEME([^\"'\\]+)(?=\1)"),
    _under(rb"KEYS(\\*')\s*:\s*\[(\1[^\"'\\]+\1(?:, \1[^\"'\\]+\1){0,256})\]", kind="list", holds=_is_unlike_ours),
    # Settings, connection strings, queries: any value where the place leaves no doubt.
    _under(rb"(?:(?<=[?&;])|(?<=[?&;]client_))KEY=(WORD{1,1024}+)"),
    _under(rb"KEY=(WORD{3,1024}+)(?=(?:[&;]|(?:\s|\\n)+)\w+=)"),
    _under(rb"(?=[A-Z_-]+=)KEY=(WORD{4,1024}+)(?![(\[])"),
    # Code, prose, command lines: only what is neither a word nor a number.
    _under(rb"KEY=(\\*[\"'])SCHEME([^\"'\\]{3,256})(?=\1\s*[,)])"),
    _under(rb"KEYS\s*(?:=>?|:)\s*(\\*[\"'])SCHEME(MIXEDWORD{6,1024}+)(?=\1)"),
    _under(rb"KEYS(\\*[\"']), ?\1SCHEME(MIXED[^\"'\\]{6,1024})(?=\1\s*\))"),
    _under(rb"KEY ?(?:=>?|:) ?SCHEME(MIXEDWORD{6,1024}+)(?![(\[])"),
    _under(rb"(?<=--)KEY (MIXEDWORD{6,1024}+)"),
    # Many harmless things are called token or cookie: these must be the whole key, and their values random.
    _under(
        rb"[\"']KEY(\\*[\"'])\s*:\s*(?:\[\s*)?\1SCHEME(MIXED[^\"'\\]{16,})(?=\1)",
        b"(?i:token|cookie|set-cookie)",
        _TOKEN_MARKERS,
    ),
)

SHAPES = _TOKENS + _PLACES + _VALUES

# What the prefilter seeks first: parts that many markers share. Not `_token`, which every count of tokens contains.
STEMS = tuple(
    stem.encode()
    for stem in """assw ASSW assph ASSPH pwd Pwd PWD ecret ECRET uthoriz UTHORIZ _key -key Key KEY pikey sskey ookie
    Token TOKEN pi_t pi-t ess_t ess-t esh_t esh-t uth_t uth-t ssion_t ssion-t xox dp. sq0 TT3 _v1_ k_live_ k_test_ sntry
    lsv2_ dckr_ pscale_ lin_ discord""".split()
)
