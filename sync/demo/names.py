"""Names that several parts of the demonstration use."""

from __future__ import annotations

from typing import Final

SOURCE: Final = "demo-source"
DESTINATION: Final = "demo-destination"
QUEUE: Final = "demo-jobs"
DEAD_LETTERS: Final = "demo-dead-letters"
TABLE: Final = "demo-ledger"
REGION: Final = "us-east-1"
LEASE_SECONDS: Final = 10
SOURCE_KEYS: Final = ("AKIADEMOSOURCE", "moto verifies no signatures")
