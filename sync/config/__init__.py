"""config.ini and the environment -> Settings. No clients, no secrets.

``load`` reads, ``show`` tells what holds; ``keys.KEYS`` is the table everything follows.
"""

from sync.config.keys import CONFIG_VARIABLE, KEYS, Key
from sync.config.loader import find, load
from sync.config.settings import Given, JobType, Settings, dialect_of
from sync.config.texts import key_table, sample, show

__all__ = [
    "CONFIG_VARIABLE",
    "KEYS",
    "Given",
    "JobType",
    "Key",
    "Settings",
    "dialect_of",
    "find",
    "key_table",
    "load",
    "sample",
    "show",
]
