"""The core: decides and copies. Knows ports, never a store, a queue or the wall clock."""
