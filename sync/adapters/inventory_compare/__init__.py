"""Comparing two inventories without listing anything: one Ibis expression, several engines.

::

    with DuckDb(memory_limit=2 * 10**9, temp_directory=folder) as engine:
        source = engine.table("source", await shapes_of(inventory, folder))
        destination = engine.table("destination", await shapes_of(other, folder))
        for row in engine.rows(report(compare(source, destination, Comparison()))): ...

``Spark(session)`` in ``on_spark`` does the same on Spark, ``as_sql.bigquery`` writes the query.
Needs the packages of the extra ``inventory``.
"""

from sync.adapters.inventory_compare.expression import (
    ARCHIVED,
    NEWER,
    SAME,
    Comparison,
    Difference,
    compare,
    report,
)
from sync.adapters.inventory_compare.on_duckdb import DuckDb
from sync.adapters.inventory_compare.results import Row
from sync.adapters.inventory_compare.shapes import Shape, shapes_of

__all__ = [
    "ARCHIVED",
    "NEWER",
    "SAME",
    "Comparison",
    "Difference",
    "DuckDb",
    "Row",
    "Shape",
    "compare",
    "report",
    "shapes_of",
]
