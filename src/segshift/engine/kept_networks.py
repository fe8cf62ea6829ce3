"""The networks of a run's checkpoints, kept as models that every command takes: RUN@STEP."""

import shutil
from dataclasses import dataclass

from segshift.files import writing
from segshift.folders import RunFolder
from segshift.methods import Method

_PARTIAL = ".network.partial"
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
        # The method names its file itself, so it gets a folder; a kill leaves one, which the next save takes.
        made = RunFolder(self.run.checkpoints / _PARTIAL)
        shutil.rmtree(made.path, ignore_errors=True)
        with writing(made.path):
            made.path.mkdir(parents=True)
        method.save(made.path)
        for file in (made.model, made.translator):
            if file.is_file():
                file.replace(self.run.network(step))
        shutil.rmtree(made.path)
        for old in [] if isinstance(self.keep, str) else self.run.network_steps()[: -self.keep]:
            self.run.network(old).unlink(missing_ok=True)
