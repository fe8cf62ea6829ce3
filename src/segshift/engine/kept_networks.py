"""The networks of a run's checkpoints, kept as models that every command takes: RUN@STEP."""

import shutil
from dataclasses import dataclass

from segshift.folders import RunFolder
from segshift.methods import Method

STATES = 2
"""How many states to resume from stay where the networks of all checkpoints do."""


@dataclass(frozen=True)
class KeptNetworks:
    """What lies beside the states in the `checkpoints` folder of a run.

    Attributes:
        run: the folder.
        keep: how many of the newest stay, or all.
    """

    run: RunFolder
    keep: int | str

    def save(self, step: int, method: Method) -> None:
        """Write what the method would deploy after `step` steps, then drop the oldest."""
        folder = self.run.at(step).path
        folder.mkdir(parents=True, exist_ok=True)
        method.save(folder)
        for old in [] if isinstance(self.keep, str) else self.run.steps()[: -self.keep]:
            shutil.rmtree(self.run.at(old).path)
