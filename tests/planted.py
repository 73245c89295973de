"""Credentials of every kind, made up here at run time, and the search for what is left of them."""

from __future__ import annotations

import base64
import json
import random
import string
import urllib.parse
from typing import Any

from ahocorasick_rs import BytesAhoCorasick

WORD = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = string.digits + "abcdef"


def rand(length, alphabet=WORD):
    """A made-up secret; made here, so that no scanner mistakes this file for a leak."""
    return "".join(random.Random(f"{length}{alphabet}").choices(alphabet, k=length))


PEM = "-----BEGIN {0} KEY-----\n" + "\n".join(rand(64 + i) for i in range(4)) + "\n-----END {0} KEY-----"
JWT = "eyJ" + rand(30) + "." + "eyJ" + rand(90) + "." + rand(43, WORD + "-_")

CREDENTIALS = {
    "openai": ["sk-" + rand(48), "sk-proj-" + rand(120, WORD + "-_"), "sk-svcacct-" + rand(60), "sk-" + rand(32, HEX)],
    "anthropic": ["sk-ant-api03-" + rand(93, WORD + "-_") + "AA", "sk-ant-oat01-" + rand(80)],
    "openrouter": ["sk-or-v1-" + rand(64, HEX)],
    "helicone": ["sk-helicone-" + "-".join([rand(7)] * 4)],
    "langfuse": ["sk-lf-" + rand(8, HEX) + "-" + rand(4, HEX) + "-" + rand(12, HEX)],
    "google": ["AIza" + rand(35, WORD + "-_"), "GOCSPX-" + rand(28), "ya29." + rand(68, WORD + "-_")],
    "groq": ["gsk_" + rand(52)],
    "huggingface": ["hf_" + rand(34, string.ascii_letters)],
    "xai": ["xai-" + rand(80)],
    "perplexity": ["pplx-" + rand(48)],
    "replicate": ["r8_" + rand(37)],
    "fireworks": ["fw_" + rand(24)],
    "cerebras": ["csk-" + rand(48)],
    "nvidia": ["nvapi-" + rand(64, WORD + "-_")],
    "together": ["tgp_v1_" + rand(43, WORD + "-_")],
    "langsmith": ["lsv2_pt_" + rand(32, HEX) + "_" + rand(10, HEX)],
    "tavily": ["tvly-dev-" + rand(32)],
    "jina": ["jina_" + rand(60)],
    "firecrawl": ["fc-" + rand(32, HEX)],
    "pinecone": ["pcsk_" + rand(70)],
    "wandb": ["wandb_v1_" + rand(40)],
    "logfire": ["pylf_v1_us_" + rand(43)],
    "mapbox": ["sk.eyJ" + rand(90) + "." + rand(22, WORD + "-_")],
    "databricks": ["dapi" + rand(32, HEX)],
    "anyscale": ["esecret_" + rand(26)],
    "llamacloud": ["llx-" + rand(48)],
    "sandbox": ["e2b_" + rand(40, HEX)],
    "browserbase": ["bb_live_" + rand(27)],
    "tailscale": ["tskey-auth-" + rand(12) + "CNTRL-" + rand(32)],
    "agilebits": ["ops_eyJ" + rand(250)],
    "razorpay": ["rzp_live_" + rand(14)],
    "duffel": ["duffel_live_" + rand(43)],
    "shippo": ["shippo_live_" + rand(40, HEX)],
    "hubspot": ["pat-na1-" + "-".join(rand(length, HEX) for length in (8, 4, 4, 4, 12))],
    "github": [prefix + rand(36) for prefix in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")] + ["github_pat_" + rand(82)],
    "gitlab": ["glpat-" + rand(20), "glptt-" + rand(40, HEX), "gldt-" + rand(20)],
    "atlassian": ["ATATT3" + rand(180)],
    "slack": ["xoxb-" + rand(12, string.digits) + "-" + rand(24), "https://hooks.slack.com/services/T" + rand(40)],
    "discord": ["https://discord.com/api/webhooks/" + rand(18, string.digits) + "/" + rand(68)],
    "stripe": ["sk_live_" + rand(24), "rk_test_" + rand(24), "whsec_" + rand(32)],
    "shopify": ["shpat_" + rand(32, HEX), "shpss_" + rand(32, HEX)],
    "square": ["sq0atp-" + rand(22)],
    "sendgrid": ["SG." + rand(22) + "." + rand(43)],
    "twilio": ["SK" + rand(32, HEX)],
    "mailgun": ["key-" + rand(32, HEX)],
    "mailchimp": [rand(32, HEX) + "-us12"],
    "telegram": [rand(9, string.digits) + ":AA" + rand(33)],
    "npm": ["npm_" + rand(36)],
    "pypi": ["pypi-AgEIcHlwaS5vcmc" + rand(100)],
    "rubygems": ["rubygems_" + rand(48, HEX)],
    "docker": ["dckr_pat_" + rand(27)],
    "digitalocean": ["dop_v1_" + rand(64, HEX)],
    "heroku": ["HRKU-" + rand(60)],
    "netlify": ["nfp_" + rand(40)],
    "supabase": ["sbp_" + rand(40, HEX)],
    "planetscale": ["pscale_tkn_" + rand(43)],
    "doppler": ["dp.pt." + rand(43)],
    "vault": ["hvs." + rand(90)],
    "terraform": [rand(14) + ".atlasv1." + rand(65)],
    "pulumi": ["pul-" + rand(40, HEX)],
    "grafana": ["glsa_" + rand(32) + "_" + rand(8, HEX)],
    "sentry": ["sntrys_" + rand(90)],
    "newrelic": ["NRAK-" + rand(27, UPPER)],
    "notion": ["ntn_" + rand(46)],
    "linear": ["lin_api_" + rand(40)],
    "figma": ["figd_" + rand(40)],
    "postman": ["PMAK-" + rand(24, HEX) + "-" + rand(34, HEX)],
    "age": ["AGE-SECRET-KEY-1" + rand(58, UPPER)],
    "aws": ["AKIA" + rand(16, UPPER), "ASIA" + rand(16, UPPER), "IQoJb3JpZ2lu" + rand(300), "ABSK" + rand(120)],
    "alibaba": ["LTAI" + rand(20)],
    "azure": [rand(3) + "8Q~" + rand(34), rand(52) + "JQQJ99" + rand(26)],
    "jwt": [JWT],
    "private-key": [PEM.format("PRIVATE"), PEM.format("RSA PRIVATE"), PEM.format("OPENSSH PRIVATE")],
}
SECRETS = [(kind, secret) for kind, examples in CREDENTIALS.items() for secret in examples]

LOGIN = base64.b64encode(f"aladdin:{rand(14)}".encode()).decode()
PASSWORD = rand(5) + "!" + rand(6) + "7" + rand(6, string.ascii_lowercase)
TEXT = "\n".join(secret for _, secret in SECRETS)
"""Every credential as a text of its own line."""


class Odd:
    """An object that is only known by its `repr`."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return f"Odd(client={self.secret!r}, password='{PASSWORD}')"


def value() -> dict[Any, Any]:
    """Every credential in every form that a value has."""
    forms: dict[Any, Any] = {}
    for number, (kind, secret) in enumerate(SECRETS):
        inner = json.dumps({"note": f"use\n{secret}\nnow", "list": [secret]})
        forms[f"{kind} {number}"] = {
            "plain": secret, "in a sentence": f"The key is {secret}, keep it.", "deep": [[{"er": (secret, {secret})}]],
            "json": json.dumps({"arguments": inner}), "setting": f"export SOME_NAME={secret}", "bytes": secret.encode(),
            "url": f"https://api.example.com/v1?q=1&code={urllib.parse.quote(secret)}#end", secret: "as a key",
            "object": Odd(secret), "in code": f"client = Client('{secret}')", "mixed keys": {1: secret, secret: 2},
            "header": f"Authorization: Bearer {secret}",
        }  # fmt: skip
    forms["by place"] = placed()
    return forms


def placed() -> list[Any]:
    """A password that is known only by where it stands."""
    return [
        {"password": PASSWORD, "api_key": [PASSWORD, PASSWORD + "x"], "passwords": {"secret": PASSWORD}},
        {"password": PASSWORD.encode(), "client_secret": PASSWORD + "\ud800", "token": Odd("").__repr__()},
        {1: 2, "password": PASSWORD}, [("x-other", "1"), ("x-api-key", PASSWORD)],
        json.dumps({"db_password": PASSWORD, "list": [{"access_token": PASSWORD}]}),
        f"postgresql://admin:{PASSWORD}@db.example.com/app", f"Server=db;User Id=sa;Password={PASSWORD};Encrypt=yes",
        f"https:\\/\\/admin:{PASSWORD}@db.example.com\\/app", f"GET /v1?page=2&api_key={PASSWORD}",
        f"Authorization: Basic {LOGIN}", {"authorization": f"Basic {LOGIN}"}, f"connect('db', password='{PASSWORD}')",
        json.dumps({"url": f"/?a=1&api_key={PASSWORD}"}).replace("&", "\\u0026").replace("=", "\\u003d"),
    ]  # fmt: skip


_PARTS: dict[bytes, str] = {}
for _kind, _secret in [*SECRETS, ("password", PASSWORD), ("login", LOGIN)]:
    for _line in _secret.encode().split(b"\n"):
        if _line and not _line.startswith(b"-----"):
            for _at in (len(_line) - 12, max(len(_line) // 2 - 6, 0), max(len(_line) - 24, 0)):
                _PARTS.setdefault(_line[_at : _at + 12], _kind)
_PARTS = {part: kind for part, kind in _PARTS.items() if len(part) == 12}
_SEARCH = BytesAhoCorasick(list(_PARTS))


def left_in(text: bytes | str) -> set[str]:
    """What is found of credentials in a text: the kind, and what stands around it."""
    data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
    found = _SEARCH.find_matches_as_indexes(data, overlapping=False)
    kinds = list(_PARTS.values())
    return {f"{kinds[part]}: {data[max(at - 60, 0) : end + 20]!r}" for part, at, end in found}
