"""The outside world behind the ports: stores, queue, table, keys."""
