"""The lines of a check: shown as they come, kept for the summary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

_STATE_WIDTH: Final = 9
_WHAT_WIDTH: Final = 44


class State(StrEnum):
    """How a probe ended. FAIL: it does not work. DIFFERS: it works, but not as the dialect of
    the store says. WARN: worth knowing, or not to be tried.
    """

    OK = "ok"
    FAIL = "FAIL"
    DIFFERS = "differs"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Result:
    """One line."""

    what: str
    state: State
    detail: str

    def __str__(self) -> str:
        """The line as it is shown, control characters made visible."""
        line = f"{self.state:<{_STATE_WIDTH}}{self.what:<{_WHAT_WIDTH}}{self.detail}".rstrip()
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


class Report:
    """Collects results and hands each line to ``show`` at once."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self.results: list[Result] = []

    def ok(self, what: str, detail: str = "") -> None:
        """It works."""
        self._add(Result(what, State.OK, detail))

    def fail(self, what: str, detail: str) -> None:
        """It does not work; ``detail`` holds the mend."""
        self._add(Result(what, State.FAIL, detail))

    def differs(self, what: str, detail: str) -> None:
        """The store is not what its dialect says; ``detail`` holds what follows from that."""
        self._add(Result(what, State.DIFFERS, detail))

    def warn(self, what: str, detail: str) -> None:
        """Worth knowing; counts as well."""
        self._add(Result(what, State.WARN, detail))

    @property
    def well(self) -> bool:
        """True where nothing failed and nothing differs."""
        return not any(r.state in {State.FAIL, State.DIFFERS} for r in self.results)

    def to_json(self) -> dict[str, object]:
        """``{"ok": bool, "results": [{"what", "state", "detail"}]}``."""
        return {"ok": self.well, "results": [asdict(result) for result in self.results]}

    def _add(self, result: Result) -> None:
        self.results.append(result)
        self._show(str(result))
