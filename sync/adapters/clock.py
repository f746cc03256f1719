"""The machine's clock behind the Clock port."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """The machine's clock and the running loop's sleep."""

    def time(self) -> float:
        """POSIX timestamp."""
        return time.time()

    def monotonic(self) -> float:
        """The running loop's clock, so that a simulated loop simulates this too."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
