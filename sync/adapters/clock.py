"""The machine's clock behind the Clock port."""

from __future__ import annotations

import asyncio
import time
from asyncio import get_running_loop


class SystemClock:
    """The machine's clock and the running loop's sleep."""

    # The function itself: a method around it costs more than it does.
    time = staticmethod(time.time)

    def monotonic(self) -> float:
        """The running loop's clock, so that a simulated loop simulates this too."""
        return get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
