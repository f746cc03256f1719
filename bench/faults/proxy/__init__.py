"""A userspace HTTP proxy of our own before one server, that does to requests what it is told.

proxy = FaultProxy("http://127.0.0.1:9000", tls=True)
proxy.add(Rule(r"^PUT /bucket/key", lost_reply(), after=1, times=2))
proxy.background(rate=0.05, kinds=["latency", "503"], seed=7)
...
assert proxy.close() == []      # every rule struck
"""

from faults.proxy.exchange import Entry
from faults.proxy.library import BACKGROUND
from faults.proxy.rules import Fault, Rule
from faults.proxy.server import FaultProxy

__all__ = ["BACKGROUND", "Entry", "Fault", "FaultProxy", "Rule"]
