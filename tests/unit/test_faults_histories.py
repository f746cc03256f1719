"""The fault bench's histories: they reach what they mean to, and they have teeth."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import histories
from faults.histories.__main__ import main
from faults.histories.drawing import SHORTEST, draw
from faults.histories.guards import GUARDS
from faults.histories.many import catch
from faults.histories.play import play
from faults.histories.script import Do, History, Op, Setting
from faults.histories.shrinking import Shrinker
from faults.tally import Effort, Tally


def test_the_short_form_survives_and_shows_every_guard() -> None:
    tally = Tally()
    histories.run(tally, Effort.SHORT)
    tally.verify()
    whole, teeth = tally.rows
    assert tally.histories == whole.tried == whole.survived > 0
    assert tally.events > tally.histories * SHORTEST // 2
    assert tally.crashes > 0
    assert teeth.tried == teeth.survived == len(GUARDS)
    for rare in ("0 uploads resumed", "0 events coalesced", "0 GONE", "0 handed out twice"):
        assert f" {rare}" not in whole.note


def test_a_failing_history_becomes_small_and_fails_again_from_its_print() -> None:
    caught = catch("converge", first=0, most=50, shrink=True)
    assert caught is not None
    assert caught.small is not None
    assert 0 < len(caught.small.ops) < 10


def test_a_printed_history_is_played_again_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "history.txt"
    ops = (Op(1.0, Do.PUT, "a", 1, 24, (0.0,)), Op(0.3, Do.PUT, "a", 2, 7, (5.0,)))
    script.write_text(f"# a remark\n\n{History(Setting(seed=5), ops)}\n")
    assert main(["--script", str(script)]) == 0
    assert "2 operations, nothing forbidden" in capsys.readouterr().out
    assert main(["--script", str(script), "--without", "ack-rule"]) == 1
    assert "# lost at" in capsys.readouterr().out


@pytest.mark.parametrize("seed", range(20))
def test_a_history_is_read_back_as_it_was_printed(seed: int) -> None:
    history = draw(seed)
    assert len(history.ops) >= SHORTEST
    assert History.parse(str(history)) == history


def test_the_same_history_plays_the_same_way_again() -> None:
    one, two = play(draw(7)), play(draw(7))
    assert one.seen == two.seen
    assert one.events == two.events


def test_shrinking_leaves_what_is_needed() -> None:
    def fails(history: History) -> bool:
        return sum(op.key == "b" and op.do is Do.DELETE for op in history.ops) > 1

    history = next(h for h in map(draw, range(50)) if fails(h))
    small = Shrinker(fails).shrink(history)
    assert [(op.do, op.key, op.sent, op.again) for op in small.ops] == [
        (Do.DELETE, "b", (0.0,), 0.0)
    ] * 2
