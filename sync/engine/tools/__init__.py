"""What operators do to queues and unfinished uploads."""
