"""One process that gives inputs to one target and writes down what goes wrong.

    python -m faults.inputs.child TARGET=RUNS ... --folder F [--seed S] [--engine random|atheris]
    python -m faults.inputs.child TARGET --once BASE64

Each input lies in ``F/input`` (shared memory) while it is tried, so that whoever watches finds it
there should the process hang or die. ``F/report`` holds a line of JSON for each thing found.
"""

from __future__ import annotations

import argparse
import base64
import json
import mmap
import os
import random
import resource
import struct
import sys
import time
import traceback
from pathlib import Path
from typing import Final

from faults.inputs import targets
from faults.inputs.mutation import mutated
from faults.inputs.target import Target

HEAD: Final = struct.Struct("<QQQ")
ROOM: Final = 1024 * 1024
_MOST_FINDINGS: Final = 30
_ADDRESSES: Final = 8 << 30
_WARM: Final = 200


class Watched:
    """Tries inputs on a target; counts them, and notes each new kind of failure once."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        with (folder / "input").open("r+b") as file:
            self._box = mmap.mmap(file.fileno(), ROOM)
        self._number = list(targets.TABLE).index(target.name)
        self._report = (folder / "report").open("a")
        self._seen: set[str] = set()
        self.count = 0
        self._slowest = 0.1
        linux = sys.platform == "linux"
        self._status = os.open("/proc/self/status", os.O_RDONLY) if linux else None
        self._highest = 0

    def try_one(self, data: bytes) -> None:
        """One input: the count in shared memory goes up before it, the input lies beside it."""
        data = data[: self.target.longest]
        self.count += 1
        self._box[HEAD.size : HEAD.size + len(data)] = data
        HEAD.pack_into(self._box, 0, self.count, len(data), self._number)
        began = time.process_time()
        try:
            self.target.probe(data)
        except self.target.allowed:
            pass
        except Exception as error:  # noqa: BLE001  this is what is looked for
            self._found("crash", _where(error), data)
        seconds = time.process_time() - began
        if seconds > self._slowest:
            self._slowest = seconds
            self._note({"kind": "slowest", "seconds": seconds, "input": _text(data)})
            if seconds > self.target.patience:
                self._found("hang", f"{seconds:.1f} s of CPU", data)
        self._weigh(data)

    def _weigh(self, data: bytes) -> None:
        now = self._peak()
        if self.count <= _WARM:
            self._highest = now
        elif now > self._highest + self.target.memory:
            self._found("memory", f"from {self._highest} MiB to {now} MiB", data)
            self._highest = now

    def _peak(self) -> int:
        """The most MiB it ever had. Not ``getrusage``: that knows the parent's before the exec."""
        if self._status is None:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        lines = os.pread(self._status, 4096, 0)
        return int(lines[lines.index(b"VmHWM:") + 6 :].split(None, 1)[0]) // 1024

    def ended(self) -> None:
        """Say how many there were: the next target begins to count anew."""
        self._note({"kind": "done", "count": self.count})

    def _found(self, kind: str, what: str, data: bytes) -> None:
        name = what.partition(":")[0] + what.partition(":")[2][:8] if kind == "crash" else kind
        if name in self._seen or len(self._seen) >= _MOST_FINDINGS:
            return
        self._seen.add(name)
        self._note({"kind": kind, "what": what, "input": _text(data)})

    def _note(self, line: dict[str, object]) -> None:
        line = {"target": self.target.name, **line}
        self._report.write(json.dumps(line) + "\n")
        self._report.flush()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _where(error: Exception) -> str:
    """The error and the last place in the project that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/sync/" in f.filename] or frames
    last = ours[-1]
    text = ascii(str(error))[:300]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno} {last.name}: {text}"


def run_random(watched: Watched, runs: int, seed: int) -> None:
    """The seeds themselves, then mutations of them."""
    target, chance = watched.target, random.Random(f"{seed}/{watched.target.name}")
    for data in target.seeds[:runs]:
        watched.try_one(data)
    while watched.count < runs:
        watched.try_one(mutated(chance, target.seeds, target.words))
    watched.ended()


def run_atheris(name: str, folder: Path, runs: int, seed: int, seconds: float) -> None:
    """Inputs that reach new branches are kept and mutated further. Does not return."""
    import atheris  # noqa: PLC0415  it has no wheels for some platforms

    with atheris.instrument_imports(include=["sync"]):
        target = targets.load(name)
    watched = Watched(target, folder)
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, data in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(data)
    limits: dict[str, object] = {
        "seed": seed + 1, "runs": runs, "max_total_time": int(seconds), "rss_limit_mb": 4096,
        "max_len": target.longest, "verbosity": 0, "print_final_stats": 0,
    }  # fmt: skip
    if target.words:
        limits["dict"] = words = folder / "words"
        words.write_text("".join(f'"{_hex(word)}"\n' for word in target.words))
    flags = [f"-{flag}={value}" for flag, value in limits.items()]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], watched.try_one)
    atheris.Fuzz()


def _hex(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="faults.inputs.child")
    parser.add_argument("targets", nargs="+", metavar="TARGET=RUNS")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--engine", choices=("random", "atheris"), default="random")
    parser.add_argument("--once", metavar="BASE64", help="try this one input, and show the error")
    given = parser.parse_args(arguments)
    if given.once is not None:
        return _once(targets.load(given.targets[0]), base64.b64decode(given.once))
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    for name, _, runs in (each.partition("=") for each in given.targets):
        if given.engine == "atheris":
            run_atheris(name, given.folder, int(runs), given.seed, given.seconds)
        run_random(Watched(targets.load(name), given.folder), int(runs), given.seed)
    return 0


def _once(target: Target, data: bytes) -> int:
    try:
        print(repr(target.probe(data)))
    except target.allowed as error:
        print(f"refused: {type(error).__name__}: {error!s:.500}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
