"""`pp.uninstall()` leaves nothing of ours behind in the frameworks, those imported before and those imported after."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module, metadata

import peaky_peek as pp
from peaky_peek.capture import autopatch, frameworks
from tests import snapshots
from tests.frameworks import environments

INSTALLED = {name for names in metadata.packages_distributions().values() for name in names}
HERE = [adapter for adapter in frameworks.ADAPTERS if adapter.distribution in INSTALLED]
PACKAGES = (
    *snapshots.STANDARD, "agent_framework", "agents", "aiohttp", "anthropic", "autogen_agentchat", "autogen_core",
    "autogen_ext", "crewai", "httpx", "httpx2", "langchain", "langchain_core", "langgraph", "llama_index",
    "llama_index_instrumentation", "mcp", "openai", "opentelemetry", "pydantic_ai",
)  # fmt: skip


def test_frameworks_imported_before_get_every_attribute_back() -> None:
    for module in (*(adapter.after for adapter in HERE), "openai", "anthropic"):
        import_module(module)
    pp.uninstall()
    before = snapshots.held(*PACKAGES)
    assert snapshots.ours(before) == []
    autopatch.install()
    assert {adapter.name: (adapter.state, adapter.problem) for adapter in HERE} == {
        adapter.name: ("active", None) for adapter in HERE
    }
    during = snapshots.held(*PACKAGES)
    for adapter in HERE:
        assert any(path.startswith(adapter.after.partition(".")[0]) for path in snapshots.ours(during)), adapter.name
    pp.uninstall()
    after = snapshots.held(*PACKAGES)
    assert sorted(snapshots.changes(before, after)) == []
    assert snapshots.ours(after) == []


def test_frameworks_imported_after_hold_nothing_of_ours_in_the_end() -> None:
    code = f"""
import json, sys, warnings
warnings.simplefilter("ignore")
import peaky_peek as pp
from tests import snapshots
pp.init()
for module in {[adapter.after for adapter in HERE]}:
    __import__(module)
during = snapshots.ours(snapshots.held(*{PACKAGES}))
pp.uninstall()
print(json.dumps([during, snapshots.ours(snapshots.held(*{PACKAGES}))]))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=environments.ROOT)
    assert ran.returncode == 0, ran.stderr
    during, after = json.loads(ran.stdout.splitlines()[-1])
    for adapter in HERE:
        assert any(path.startswith(adapter.after.partition(".")[0]) for path in during), adapter.name
    assert after == []
