"""Lives, several at a time: what a worker waits for costs no processor."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from faults.injection.judge import Verdict, judge
from faults.injection.scene import Life, Scene, open_scene
from faults.stage import Stage
from support.worker_process import WorkerProcess

PATIENCE: Final = 150.0


def live(stage: Stage, life: Life, folder: Path) -> Verdict:
    """Have one life, and judge it."""
    verdict, begun = Verdict(life), time.monotonic()
    try:
        with open_scene(stage, life, folder) as scene:
            for plan in life.plans:
                scene.plan = plan
                plan.arrange(scene, plan.key)
            worker = (life.drive or until_empty)(scene)
            code = worker.process.poll()
            if code != life.code:
                verdict.fail(f"exit code {code}, not {life.code}: {worker.tail[-1500:]}")
            judge(scene, worker, verdict)
            abort_left_uploads(scene)
    except Exception:  # noqa: BLE001  the other lives are to be had all the same
        verdict.tally.unhandled += 1
        verdict.fail(traceback.format_exc())
    verdict.seconds = time.monotonic() - begun
    return verdict


def until_empty(scene: Scene) -> WorkerProcess:
    """A batch run to its end."""
    worker = scene.worker("--until-empty")
    worker.ended(PATIENCE)
    return worker


def abort_left_uploads(scene: Scene) -> None:
    """What the policy of unfinished uploads does later, so that the rig finds all well."""
    target = scene.rig.target
    for entry in target.boto.list_multipart_uploads(Bucket=target.bucket).get("Uploads", ()):
        target.boto.abort_multipart_upload(
            Bucket=target.bucket, Key=entry["Key"], UploadId=entry["UploadId"]
        )


def live_all(stage: Stage, lives: Sequence[Life], *, at_once: int) -> list[Verdict]:
    """All lives, ``at_once`` at a time, in their order."""
    folder = stage.folder / f"injection-{time.monotonic_ns()}"
    with ThreadPoolExecutor(at_once) as pool:
        return list(
            pool.map(lambda pair: live(stage, pair[1], folder / f"{pair[0]}"), enumerate(lives))
        )
