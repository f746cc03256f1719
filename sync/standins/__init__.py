"""Strict stand-ins for services that nobody can run on a laptop; for tests and the demo."""
