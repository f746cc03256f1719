"""Which kind of file it is, and reading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sync.config.imports.env_file import parse_env
from sync.config.imports.found import Import
from sync.config.imports.ini_files import import_cluster, import_single_node, is_single_node
from sync.config.imports.s3_tools import import_s3_tools
from sync.errors import ConfigError


def read(path: Path, environ: Mapping[str, str], env_file: Path | None = None) -> Import:
    """Import ``path``: the S3 tools' YAML, or an ini file of the cluster or the single node.

    ``environ`` comes before ``env_file``, and both before the file, as with the S3 tools; the
    others knew no variables. ConfigError where something cannot be read.
    """
    data = _bytes(path)
    text = _text(data, path)
    if path.suffix.lower() in {".yml", ".yaml"}:
        variables = parse_env(_text(_bytes(env_file), env_file), str(env_file)) if env_file else {}
        return import_s3_tools(_yaml(text, path), {**variables, **environ}, str(path))
    if env_file is not None:
        raise ConfigError(f"{path}: --env-file belongs to the S3 tools' config.yml only")
    if is_single_node(text):
        return import_single_node(text, str(path))
    return import_cluster(data, str(path))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8; save the file as UTF-8") from None


def _yaml(text: str, path: Path) -> Any:
    try:
        import yaml  # noqa: PLC0415  only for this kind of file
    except ImportError:
        raise ConfigError(f"{path}: reading YAML needs PyYAML: pip install pyyaml") from None
    try:
        return yaml.safe_load(text) or {}
    except (ValueError, RecursionError):  # a date of month 13, a thousand brackets
        raise ConfigError(f"{path}: not YAML of a configuration") from None
    except yaml.YAMLError as error:
        # Its text holds lines of the file, and these may hold keys.
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{path}:{line}: not YAML") from None
