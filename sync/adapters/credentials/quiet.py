"""Keeps libraries from logging what they read."""

from __future__ import annotations

import logging


def quiet_libraries() -> None:
    """Hold back the debug logs of the cloud libraries: they hold keys, tokens and whole secrets."""
    for name in ("botocore", "boto3", "google"):
        logger = logging.getLogger(name)
        if logger.level < logging.INFO:
            logger.setLevel(logging.INFO)
