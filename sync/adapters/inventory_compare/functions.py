"""The scalar functions each engine has a name of its own for."""

from __future__ import annotations

import ibis

from sync.adapters.inventory_compare.canonical import Functions


def _text_of_text(text: str) -> str:
    """Only the types count: the engine's function of the given name is called."""
    raise NotImplementedError


def _bytes_of_text(text: str) -> bytes:
    raise NotImplementedError


def _text_of_bytes(data: bytes) -> str:
    raise NotImplementedError


_builtin = ibis.udf.scalar.builtin
_url_decode = _builtin(_text_of_text, name="url_decode")
_from_base64 = _builtin(_bytes_of_text, name="from_base64")
_unbase64 = _builtin(_bytes_of_text, name="unbase64")
_hex = _builtin(_text_of_bytes, name="hex")
_to_hex = _builtin(_text_of_bytes, name="to_hex")

DUCKDB = Functions("DuckDB", lambda text: _hex(_from_base64(text)).lower(), _url_decode)
SPARK = Functions("Spark", lambda text: _hex(_unbase64(text)).lower(), _url_decode)
BIGQUERY = Functions("BigQuery", lambda text: _to_hex(_from_base64(text)), None)
