"""Fakes of every port, in memory: for tests, for simulations, and for whoever builds on 3GSync.

They keep the contracts of ``sync.ports`` (the same suites run over them and over the real
adapters), and let a test interfere: ``MemoryStore.interfere`` is awaited before and after
every operation with the operation's name and may sleep or raise.
"""

from sync.adapters.memory.others import MemoryCredentials, MemoryLedger, MemoryObserver
from sync.adapters.memory.queue import MemoryQueue
from sync.adapters.memory.store import MEMORY_DIALECT, MemoryStore, Stored

__all__ = [
    "MEMORY_DIALECT",
    "MemoryCredentials",
    "MemoryLedger",
    "MemoryObserver",
    "MemoryQueue",
    "MemoryStore",
    "Stored",
]
