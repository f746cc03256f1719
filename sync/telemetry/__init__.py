"""Observers: logs, counters, progress. Never on the way of the bytes."""
