"""The table of what is fuzzed. A target's module is imported only where the target is run."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Final

from faults.inputs.target import Target


@dataclass(frozen=True)
class Entry:
    """Where a target is, and its share of the inputs. ``guided``: by coverage too. ``cost``: about
    how many milliseconds an input takes.
    """

    module: str
    share: float
    guided: bool = True
    cost: float = 0.15


TABLE: Final = {
    "messages": Entry("of_messages", 20),
    "url-keys": Entry("of_messages", 8, guided=False),
    "ignore-list": Entry("of_messages", 4, cost=1.4),
    "config-file": Entry("of_config", 1, cost=1.4),
    "config-environment": Entry("of_config", 1, guided=False, cost=1.1),
    "config-import": Entry("of_config", 1, cost=1.2),
    "bucket-list": Entry("of_config", 4),
    "manifest": Entry("of_inventories", 6),
    "inventory-csv": Entry("of_inventories", 4, cost=0.6),
    "inventory-parquet": Entry("of_inventories", 0.6, guided=False, cost=0.6),
    "inventory-orc": Entry("of_inventories", 0.6, guided=False, cost=0.5),
    "listing-page": Entry("of_stores", 8),
    "other-pages": Entry("of_stores", 8),
    "error-bodies": Entry("of_stores", 8),
    "store-replies": Entry("of_replies", 7, cost=1.5),
    "http-heads": Entry("of_replies", 10, cost=0.7),
    "sqs-replies": Entry("of_services", 5, cost=1.6),
    "dynamodb-replies": Entry("of_services", 6, cost=0.8),
    "credentials": Entry("of_documents", 6),
    "checkpoint": Entry("of_documents", 2, cost=0.4),
    "inventory-state": Entry("of_documents", 2, cost=0.4),
    "notifications": Entry("of_documents", 4),
    "signatures": Entry("of_signing", 1, guided=False, cost=1.2),
}


def load(name: str) -> Target:
    """The target of that name."""
    module = importlib.import_module(f"faults.inputs.{TABLE[name].module}")
    found: Target = module.TARGETS[name]
    return found
