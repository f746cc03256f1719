"""The policy files of deploy/, and whether they allow something. Only what the files use."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from support.needed_permissions import Need

DEPLOY = Path(__file__).parents[2] / "deploy"


@dataclass(frozen=True)
class Grant:
    """One action that one statement of one file allows, on these resources."""

    file: str
    statement: str
    action: str
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.file} {self.statement} {self.action}"

    def allows(self, need: Need) -> bool:
        return (
            fnmatchcase(need.action, self.action)
            and any(fnmatchcase(need.resource, _pattern(one)) for one in self.resources)
            and set(self.conditions) <= set(need.context)
        )


def _pattern(resource: str) -> str:
    return resource.replace("[", "[[]")


def _several(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def grants(file: str, names: Mapping[str, str]) -> list[Grant]:
    """What ``aws/NAME.json`` or ``gcp/NAME.yaml`` allows, placeholders replaced by ``names``.

    After a ``#``: of the statements named OnlyFor... those alone whose names begin so.
    """
    file, _, only = file.partition("#")
    text = (DEPLOY / file).read_text()
    for placeholder in sorted(names, key=len, reverse=True):
        text = text.replace(placeholder, names[placeholder])
    found = _google(file, text) if file.endswith(".yaml") else _amazon(file, text)
    return [
        g
        for g in found
        if not (only and g.statement.startswith("OnlyFor")) or g.statement.startswith(only)
    ]


def _amazon(file: str, text: str) -> Iterable[Grant]:
    for statement in json.loads(text)["Statement"]:
        assert statement["Effect"] == "Allow", f"{file}: only what allows can be judged here"
        conditions = statement.get("Condition", {})
        assert conditions.keys() <= {"StringEquals"}, f"{file}: {conditions}"
        pairs = tuple(conditions.get("StringEquals", {}).items())
        for action in _several(statement["Action"]):
            resources = tuple(_several(statement["Resource"]))
            yield Grant(file, statement["Sid"], action, resources, pairs)


def _google(file: str, text: str) -> Iterable[Grant]:
    """A custom role, bound on the bucket or the secret that a remark in it names."""
    role = yaml.safe_load(text)
    (bound,) = [line[2:].split()[-1] for line in text.splitlines() if line.startswith("# on ")]
    for permission in role["includedPermissions"]:
        yield Grant(file, role["title"], permission, (bound,))


def denied(needs: Iterable[Need], allowed: Sequence[Grant]) -> list[Need]:
    """Needs that none of the grants covers."""
    return [need for need in needs if not any(grant.allows(need) for grant in allowed)]
