"""The data plane: HTTP/1.1 over asyncio, and request signing. Knows bytes and headers only."""
