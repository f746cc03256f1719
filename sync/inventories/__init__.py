"""Inventories put to use: access to them with the configured keys, and queueing their objects."""

from sync.inventories.access import Access, open_access

__all__ = ["Access", "open_access"]
