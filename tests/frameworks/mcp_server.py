"""A small MCP server, named `almanac`. As a program it speaks through its standard input and output."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

try:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
except ImportError:  # mcp 1
    from mcp.server.fastmcp import FastMCP as MCPServer
    from mcp.server.fastmcp.exceptions import ToolError


def almanac() -> Any:
    server = MCPServer("almanac", log_level="ERROR")

    @server.tool()
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"sun in {city}"

    @server.tool()
    def moon(day: int) -> dict[str, Any]:
        """The phase of the moon."""
        if day > 31:
            raise ToolError("no such day")
        return {"phase": "full", "day": day}

    return server


@contextmanager
def over_http() -> Iterator[str]:
    """Serve on loopback, and yield the URL."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(almanac().streamable_http_app(), log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    almanac().run()
