"""The processes of a run: joining, agreeing, waiting, and noticing that one is gone.

The only file that imports accelerate.
"""

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs, broadcast
from torch import nn

from segshift.errors import InputError, ProcessLostError
from segshift.folders import lock_folder
from segshift.models.devices import usable_device
from segshift.shared_batch import mean_over_processes, sharing

# Others may wait for hours while the main process labels; the heartbeat notices a lost one.
_PATIENCE = timedelta(days=7)
PATIENCE_S = 600.0
"""So long another process may stand still before it counts as lost, where no recipe says it: a large picture
takes minutes on a CPU."""
_HEARTBEAT = "heartbeat"
_HEARTBEAT_S = 0.5
# So long the main thread of a survivor has to end by itself, and an orderly one waits for the others.
_GRACE_S = 3.0


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: from 0; 0 is the main process, which logs and writes files.
        count: how many there are.
        device: where this one's tensors live.
    """

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls) -> "Processes":
        """The group that a launcher started, or this process alone.

        Where one of them does not come within PATIENCE_S, this one ends with a line.

        Raises:
            InputError: the launcher started several, but they did not find each other.
            ProcessLostError: another process ended while they were looking for each other.
        """
        started = launched()
        with _joining(started):
            accelerator = _accelerator()
        if accelerator.num_processes != started:
            raise InputError(
                f"WORLD_SIZE: {started} processes were launched, but {accelerator.num_processes} joined; "
                "start with `accelerate launch` or `torchrun`, or unset WORLD_SIZE"
            )
        if started > 1:
            _leave_at_exit()
        # Accelerate numbers CPUs ("cpu:1"), which torch.load refuses.
        on_cpu = accelerator.device.type == "cpu"
        device = torch.device("cpu") if on_cpu else accelerator.device
        return cls(accelerator.process_index, accelerator.num_processes, device)

    @classmethod
    def alone(cls, device: str) -> "Processes":
        """This process on a device of one's choice, without a launcher."""
        return cls(0, 1, torch.device(device))

    @property
    def main(self) -> bool:
        """Whether this is the main process."""
        return self.rank == 0

    def any(self, mine: bool) -> bool:
        """Whether it is so in any process: what leads to collective work must be the same in all."""
        with sharing():
            return bool(mean_over_processes(torch.tensor([float(mine)], device=self.device)) > 0)

    def wait(self) -> None:
        """Go on when all are here. Raises ProcessLostError when one is gone."""
        self.any(False)

    def agree(self, number: int) -> int:
        """The main process's number, in all of them."""
        with sharing():
            mine = torch.tensor([number if self.main else 0], dtype=torch.float64, device=self.device)
            return round(mean_over_processes(mine).item() * self.count)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of all processes' tensors of whole numbers below 2^53, on the CPU."""
        with sharing():
            mean = mean_over_processes(value.to(self.device, torch.float64))
            return (mean * self.count).round().to(value.dtype).cpu()

    def copy_state(self, module: nn.Module) -> None:
        """Give every process the main one's parameters and buffers."""
        if self.count > 1:
            for tensor in module.state_dict().values():
                tensor.copy_(broadcast(tensor))

    def average_buffers(self, module: nn.Module) -> None:
        """Give every process the mean of all processes' buffers, where these are floats."""
        with sharing():
            for buffer in module.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(mean_over_processes(buffer))


def launched() -> int:
    """How many processes a launcher (torchrun, accelerate launch) has started; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _accelerator(**more: Any) -> Accelerator:
    # Unless told, Accelerate looks for accelerators only: without one, each process would train alone.
    no_device = launched() > 1 and not torch.accelerator.is_available()
    # Its precision is the whole process's for good; ours may differ between stages and arms.
    return Accelerator(
        mixed_precision="no",
        cpu=no_device,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
        **more,
    )


@contextmanager
def _joining(processes: int) -> Iterator[None]:
    """End this process if the others do not come: the group's own patience is for what happens later."""
    if processes == 1 or dist.is_initialized():
        yield
        return
    timer = threading.Timer(PATIENCE_S, _give_up, [processes])
    timer.daemon = True
    timer.start()
    try:
        yield
    except RuntimeError as error:  # how the store says that its other end is gone
        raise ProcessLostError from error
    finally:
        timer.cancel()


def _give_up(processes: int) -> None:
    print(
        f"stopped: {processes} processes were launched, and not all of them came within {PATIENCE_S:.0f} s; "
        "look at what the others say, and at MASTER_ADDR and MASTER_PORT",
        file=sys.stderr,
        flush=True,
    )
    # The main thread waits in the store's code and hears of nothing.
    os._exit(1)


def started_tracker(name: str, project: str, folder: Path, options: Mapping[str, Any]) -> Any:
    """One of accelerate's experiment trackers, running; for the main process.

    Args:
        name: tensorboard, mlflow or wandb.
        project: what it gathers runs under; TensorBoard's folder below `folder`.
        folder: where it may write.
        options: of its start, such as MLflow's `run_id`.

    Raises:
        Exception: whatever the tracker's library raises.
    """
    accelerator = _accelerator(log_with=name, project_dir=str(folder))
    accelerator.init_trackers(project, init_kwargs={name: dict(options)})
    (tracker,) = accelerator.trackers
    return tracker


@cache
def _leave_at_exit() -> None:
    """Leave the group before the interpreter is taken down: later, its threads abort the process.

    They come back for the interpreter's lock, are ended inside of C++ once that is gone, and the process dies
    of "terminate called without an active exception" after all its work is done.
    """
    atexit.register(_leave)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
    for thread in threading.enumerate():
        if thread.name == _HEARTBEAT:
            thread.join(_GRACE_S)


def choose_device(device: str) -> None:
    """Where the runs of this process train, such as "cpu" or "cuda:1"; to be called before the first."""
    os.environ["ACCELERATE_TORCH_DEVICE"] = device


@contextmanager
def training_on(device: str | torch.device | None) -> Iterator[None]:
    """The runs of a block train on a device, also after others on another one; None leaves the choice.

    Raises:
        InputError: there is no such device, or a launcher has given this process its own.
    """
    if device is None:
        yield
        return
    place = usable_device(device)
    if launched() > 1:
        raise InputError(f"device {place}: of several processes each has the device that its launcher gives")
    before = os.environ.get("ACCELERATE_TORCH_DEVICE")
    # Accelerate keeps the device of a process's first run.
    AcceleratorState._reset_state(reset_partial_state=True)
    choose_device(place)
    try:
        yield
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
        del os.environ["ACCELERATE_TORCH_DEVICE"]
        if before is not None:
            choose_device(before)


def on_main_process(work: Callable[[], None]) -> None:
    """Call `work` in the main process while the others wait."""
    processes = Processes.join()
    if processes.main:
        work()
    processes.wait()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """A folder for this run alone: of its processes the main one holds the lock, for which the others wait.

    Raises:
        InputError: in all of them, if another run holds it.
    """
    processes = Processes.join()
    with ExitStack() as stack:
        refused = None
        if processes.main:
            try:
                stack.enter_context(lock_folder(folder))
            except InputError as error:
                refused = error
        if processes.any(refused is not None):
            raise refused or InputError(f"{folder}: the main process cannot write there")
        yield


@contextmanager
def watched(timeout_s: float) -> Iterator[None]:
    """End this process with one line when another one ends inside the block, or stands still.

    A thread of each exchanges a heartbeat over a connection of its own, so that it is noticed whatever the
    main thread is doing: one that hangs in a collective operation cannot be woken in any other way.

    Args:
        timeout_s: so long another process may be silent (stopped, swapped out, without network).
    """
    if "WORLD_SIZE" not in os.environ or Processes.join().count == 1:
        yield
        return
    heart = _Heart(timeout_s)
    try:
        yield
    except ProcessLostError:
        heart.leave(0.0)
        raise
    except BaseException:
        # All may be leaving for the same reason: none of them shall take the others for lost.
        heart.leave(_GRACE_S)
        raise
    heart.leave(None)


class _Heart:
    def __init__(self, timeout_s: float) -> None:
        self._group: Any = dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout_s))
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=_HEARTBEAT, daemon=True)
        self._thread.start()

    def leave(self, patience_s: float | None) -> None:
        """Stop when all processes leave, or after so many seconds; None waits for them."""
        self._leaving.set()
        self._thread.join(patience_s)

    def _beat(self) -> None:
        others_here = True
        while others_here:
            staying = torch.tensor([0.0 if self._leaving.is_set() else 1.0])
            try:
                dist.all_reduce(staying, group=self._group)
            except RuntimeError:
                self._end()
                return
            others_here = bool(staying > 0)
            self._leaving.wait(_HEARTBEAT_S)

    def _end(self) -> None:
        """End the process, unless its main thread has noticed the same and does so itself."""
        if not self._leaving.wait(_GRACE_S):
            print(f"stopped: {ProcessLostError()}", file=sys.stderr, flush=True)
            os._exit(1)
