"""Fixtures every test may ask for."""
