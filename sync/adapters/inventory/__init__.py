"""Inventories of buckets: Amazon's S3 Inventory (CSV, Parquet, ORC), Google's Storage Insights
inventory reports (CSV, Parquet), and plain CSV files. Never more than a batch of rows, a row
group or a stripe in memory.

::

    inventory = await open_inventory(["s3://bucket/folder/manifest.json"], Files(store))
    async for batch in inventory.rows():           # each file verified before its first row
        for row in batch.rows: ...                 # InventoryRow
        for fault in batch.faults: ...             # RowFault: never to be passed over in silence

Whoever reads the data files itself takes ``inventory.files`` and
``await inventory.fetch(file, folder)``, a verified file on this machine, and
``canonical(name)`` for what their columns mean. ``sync.inventories.open_access(settings,
environ).files`` is the `Files` of a configuration.
"""

from sync.adapters.inventory.columns import canonical, canonical_all, parse_schema
from sync.adapters.inventory.files import Files
from sync.adapters.inventory.opened import Inventory, open_inventory
from sync.adapters.inventory.places import Place, parse_place
from sync.adapters.inventory.values import (
    SIZE_UNKNOWN,
    CsvStyle,
    DataFile,
    Format,
    InventoryRow,
    Kind,
    RowBatch,
    RowFault,
)

__all__ = [
    "SIZE_UNKNOWN",
    "CsvStyle",
    "DataFile",
    "Files",
    "Format",
    "Inventory",
    "InventoryRow",
    "Kind",
    "Place",
    "RowBatch",
    "RowFault",
    "canonical",
    "canonical_all",
    "open_inventory",
    "parse_place",
    "parse_schema",
]
