"""``3gsync inventory``: queue the objects of an inventory, or compare two inventories."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any


class _LaterParser(argparse.ArgumentParser):
    """An action's parser whose module is imported when the action is asked for."""

    def __init__(self, *, module: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._module = module

    def parse_known_args(  # type: ignore[override]  # the base has overloads
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As the base's, with the arguments of the action's module."""
        if self._module:
            module: Any = import_module(self._module)
            self._module = ""
            module.add_arguments(self)
            self.set_defaults(action=module.run)
        return super().parse_known_args(args, namespace)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's actions."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=_LaterParser)
    for name, text in (
        ("send", "queue the objects that an inventory lists"),
        ("compare", "compare two inventories without listing anything"),
    ):
        sentence = f"{text[0].upper()}{text[1:]}."
        actions.add_parser(
            name, help=text, description=sentence, module=f"sync.commands.inventory_{name}"
        )


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Do what the action says; returns the exit code."""
    return int(arguments.action(arguments, environ))
