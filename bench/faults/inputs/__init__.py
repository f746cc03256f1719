"""Bad input: a fuzzer on everything that is read, servers that mean harm, keys that hurt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.stage import Stage
    from faults.tally import Effort, Tally


def run(tally: Tally, effort: Effort, stage: Stage) -> None:
    """The whole section. SHORT: about 20,000 inputs."""
    # The fuzzer's children import this package: they need none of the servers.
    from faults.inputs.fuzzing import fuzz  # noqa: PLC0415
    from faults.inputs.keys import send_keys  # noqa: PLC0415
    from faults.inputs.servers import meet_servers  # noqa: PLC0415

    fuzz(tally, effort)
    meet_servers(tally)
    send_keys(tally, effort, stage)
