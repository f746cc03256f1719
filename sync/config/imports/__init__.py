"""Configurations of the tools that came before -> config.ini, and what has no counterpart in it.

No clients, and no secrets: access keys are neither written nor shown, only named.
"""

from sync.config.imports.found import Import
from sync.config.imports.reading import read

__all__ = ["Import", "read"]
