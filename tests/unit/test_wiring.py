from __future__ import annotations

from pathlib import Path

import pytest

from support.scripted_aws import ManualClock
from sync.config import Settings, load
from sync.engine.budget import AutoBudget, Budget
from sync.supervisor import merged
from sync.wiring import connections, copy_options, runner_options, transfer_budget


def settings(tmp_path: Path, mode: str, debug: str = "") -> Settings:
    file = tmp_path / "config.ini"
    file.write_text(f"[Basic]\nDes_bucket_default = target\n[Mode]\n{mode}\n[Debug]\n{debug}\n")
    return load(file, {})


@pytest.mark.parametrize(
    ("mode", "budget"),
    [
        ("", 416),
        ("MemoryLimit = 4096", 512),
        ("Connections = 7", 7),
        ("MaxThread = 5\nMaxParallelFile = 4", 20),
        ("MaxThread = 5\nMaxParallelFile = 4\nConnections = 3", 3),
        ("MemoryLimit = 128", 32),
        ("MemoryLimit = 64", 4),
    ],
)
def test_the_budget_of_connections(tmp_path: Path, mode: str, budget: int) -> None:
    assert connections(settings(tmp_path, mode)) == budget


def test_auto_moves_within_what_memory_allows_and_a_number_stays(tmp_path: Path) -> None:
    given = settings(tmp_path, "MemoryLimit = 128")
    auto = transfer_budget(given, clock=ManualClock())
    assert isinstance(auto, AutoBudget)
    assert auto.limit == 32
    fixed = transfer_budget(settings(tmp_path, "Connections = 7"))
    assert (type(fixed), fixed.limit) == (Budget, 7)


def test_what_is_held_follows_the_budget(tmp_path: Path) -> None:
    budget = Budget(64)
    options = runner_options(settings(tmp_path, ""), budget)
    assert callable(options.in_flight)
    assert callable(options.receivers)
    assert (options.in_flight(), options.receivers()) == (192, 4)
    budget.limit = 400
    assert (options.in_flight(), options.receivers()) == (1200, 25)
    budget.limit = 2
    assert (options.in_flight(), options.receivers()) == (10, 1)


def test_a_given_number_of_objects_at_a_time_is_kept(tmp_path: Path) -> None:
    given = settings(tmp_path, "MaxThread = 5\nMaxParallelFile = 40")
    held = runner_options(given, transfer_budget(given)).in_flight
    assert callable(held)
    assert held() == 40


def test_one_object_never_takes_the_whole_budget(tmp_path: Path) -> None:
    assert copy_options(settings(tmp_path, "Connections = 40")).parts_per_object == 30
    assert copy_options(settings(tmp_path, "Connections = 1")).parts_per_object == 1
    assert copy_options(settings(tmp_path, "MaxThread = 5")).parts_per_object == 5
    assert copy_options(settings(tmp_path, "")).parts_per_object is None


def test_keys_reach_the_engine(tmp_path: Path) -> None:
    given = settings(
        tmp_path,
        "ResumableThreshold = 20\nMaxRetry = 9\nJobTimeout = 77\nSyncDeletes = True\n"
        "StorageClass = SOURCE\nGetObjectWithVersionId = True\nLeaseSeconds = 30\nMaxReceives = 3",
        "ChunkSize = 8\nifVerifyMD5Twice = True\nCleanUnfinishedUpload = True",
    )
    copying, running = copy_options(given), runner_options(given, Budget(8), max_jobs=5)
    assert copying.threshold == 20 * 1024 * 1024
    assert copying.chunk == 8 * 1024 * 1024
    assert (copying.max_retry, copying.job_timeout) == (9, 77.0)
    assert copying.sync_deletes
    assert copying.verify_twice
    assert copying.clean_unfinished
    assert copying.read_by_version
    assert copying.storage_class("STANDARD_IA") == "NEARLINE"
    assert (running.lease, running.max_receives, running.max_jobs) == (30.0, 3, 5)


def test_summaries_of_several_workers_add_up() -> None:
    one = {
        "messages": 2,
        "outcomes": {"copied": 2},
        "bytes": 10,
        "parts_reused": 1,
        "dead_lettered": ["a"],
        "failing": {"m1": "x", "m4": "z"},
        "taken_over": ["m3"],
    }
    two = {
        **one,
        "outcomes": {"copied": 1, "gone": 1},
        "failing": {"m2": "x", "m3": "w", "m5": "y"},
        "taken_over": ["m4"],
    }
    assert merged([one, two]) == {
        "messages": 4,
        "outcomes": {"copied": 3, "gone": 1},
        "bytes": 20,
        "parts_reused": 2,
        "dead_lettered": ["a", "a"],
        "failing": ["x", "y"],
    }
