"""The ignore list: which objects are left alone. Pure; the file's text comes in.

The rules of a line are described for operators in ``docs/ignore-list.md``.
"""

from sync.ignore.index import IgnoreList
from sync.ignore.patterns import KeyPattern

__all__ = ["IgnoreList", "KeyPattern"]
