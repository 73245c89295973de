"""What other tools recorded, loaded into the store."""

from peaky_peek.interop.chat import load

__all__ = ["load"]
