"""``3gsync check``: proves that destinations equal their sources, and reports what does not."""
