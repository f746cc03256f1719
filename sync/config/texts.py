"""Texts made from the table of keys: effective settings, config.ini, the documentation's table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from sync.config.inifile import clean_value
from sync.config.keys import KEYS, SECTIONS, Key
from sync.config.settings import Settings

_HEAD: Final = """\
# Configuration of 3GSync. Every key may be left out; what stands here are the defaults.
# Sizes in MB are units of 1024 * 1024 bytes. Remarks begin with # or ;, values that hold
# one may stand in quotes. An environment variable THREEGSYNC_<KEY IN CAPITALS> comes before
# what stands here. No keys or passwords belong into this file.
# "3gsync config check" finds every fault, "3gsync config show" tells what holds.
"""
_TITLES: Final = {
    "Basic": "What to copy, from where to where",
    "Mode": "How to copy",
    "Debug": "Logs, and what is seldom changed",
}


def show(settings: Settings) -> str:
    """The effective settings as ini text that can be loaded again, each with its origin."""
    lines = [f"# {note}" for note in settings.notes]
    for section in SECTIONS:
        lines += ["", f"[{section}]"]
        lines += [_effective(settings, key) for key in KEYS if key.section == section]
    return "\n".join(lines).lstrip("\n") + "\n"


def _effective(settings: Settings, key: Key) -> str:
    given = settings.given[key.name]
    text = f"{key.name} = {quoted(key.kind.show(given.text))}".rstrip()
    meaning = _meaning(settings, key)
    return f"{text}  # {given.where}" + (f", means {meaning}" if meaning else "")


def _meaning(settings: Settings, key: Key) -> str:
    """What stands behind a word like auto, where it is decided by the configuration alone."""
    value = getattr(settings, key.field)
    text = settings.given[key.name].text.lower()
    decided = key.name in {"SrcDialect", "DestDialect", "Connections"}
    if decided and text == "auto" and value is not None:
        return str(value)
    old_mode = key.name in {"JobType", "SrcProfileName", "DestProfileName"}
    if old_mode and settings.local_profile_mode and text != str(value).lower():
        return f"{value} (LocalProfileMode)"
    return ""


def quoted(text: str) -> str:
    """The text as a value: in quotes where it would be taken for something else."""
    if clean_value(text) == text:
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'


def sample() -> str:
    """The text of config.ini: every key with its default and what it means."""
    return _HEAD + "".join(_sample_section(section) for section in SECTIONS)


def _sample_section(section: str) -> str:
    keys = "".join(_sample_key(key) for key in KEYS if key.section == section)
    return f"\n# {_TITLES[section]}.\n[{section}]\n{keys}"


def _sample_key(key: Key) -> str:
    remark = _wrap(key.help) + "\n" + _wrap(f"Must be {key.kind.allowed}.")
    return f"\n{remark}\n{key.name} = {key.default}".rstrip() + "\n"


def _wrap(text: str) -> str:
    return textwrap.fill(
        text,
        width=92,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def key_table() -> str:
    """The keys as Markdown tables, one a section."""
    return "\n".join("\n".join(_table(section)) for section in SECTIONS)


def _table(section: str) -> Iterator[str]:
    yield f"### [{section}]\n"
    yield "| Key | Default | Allowed | Meaning |"
    yield "| --- | --- | --- | --- |"
    for key in KEYS:
        if key.section == section:
            default = f"`{key.default}`" if key.default else "empty"
            yield f"| `{key.name}` | {default} | {key.kind.allowed} | {key.help} |"
    yield ""
