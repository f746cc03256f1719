"""Comparing whole buckets: what the jobsender, `check` and the inventory tools share."""
