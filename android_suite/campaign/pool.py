"""The attached devices of a campaign: which job runs on which.

Devices differ from each other by more than kernels do. So all jobs of a block, which has every kernel once, run on one
device, and the boots that are compared in pairs are of one device. A free device takes the next block that no device
has begun. A device that fails again and again is dropped; what is not finished of its block is done as a whole on
another one, so that no pair is of two devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from android_suite.campaign.faults import Breaker, blame
from android_suite.campaign.journal import CampaignFolder
from android_suite.campaign.schedule import Job
from android_suite.campaign.worker import Recorder
from android_suite.errors import LabError, SuiteError

_MOST_DEVICES_A_JOB = 2  # a job that failed on so many devices is not the devices' fault


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolDevice:
    """An attached device of a campaign.

    Attributes:
        serial: its name in the journal and as a worker resource.
        recorder: records on it.
        check: called before each job; raises LabError if the device was lost to somebody else.
        quarantine: called with the reason if it failed again and again.
    """

    serial: str
    recorder: Recorder
    check: Callable[[], None] = lambda: None
    quarantine: Callable[[str], None] | None = None


class Pool:
    """Used by one thread.

    Args:
        devices: those that were leased.
        folder: of the campaign; told of devices that are dropped and jobs that are done again.
        failures_to_quarantine: so many failures of one device in a row, and it gets no more jobs.
        tell: called with what happens, for people.
    """

    def __init__(
        self,
        devices: Sequence[PoolDevice],
        folder: CampaignFolder,
        *,
        failures_to_quarantine: int,
        tell: Callable[[str], None],
    ) -> None:
        self._devices, self._folder, self._tell = list(devices), folder, tell
        self._breakers = {each.serial: Breaker(failures_to_quarantine) for each in devices}
        self._busy: dict[str, str] = {}  # serial -> token of the attempt that records there
        self._idle = list(self._devices)  # neither busy nor waiting for the next job of its block
        self._of_block: dict[int, str] = {}
        self._unrecorded: Counter[int] = Counter()  # jobs of each block
        self._failed_on: dict[str, set[str]] = {}  # job -> devices that were dropped with it
        self._moving: set[int] = set()  # blocks whose device was dropped

    def __len__(self) -> int:
        return len(self._devices)

    @property
    def serials(self) -> tuple[str, ...]:
        """Of the devices that are left."""
        return tuple(each.serial for each in self._devices)

    @property
    def free(self) -> bool:
        """Whether a device records nothing now."""
        return len(self._busy) < len(self._devices)

    def begin(self, jobs: Iterable[Job]) -> None:
        """Takes up a campaign, new or begun: an open block goes on where it began, or is done as a whole again."""
        starts = [e for e in self._folder.events() if e.get("event") == "start" and e.get("record")]
        where = {str(e.get("job")): e.get("device") for e in starts}
        blocks: dict[int, list[Job]] = {}
        for job in jobs:
            blocks.setdefault(job.block, []).append(job)
        for block, members in blocks.items():
            done = [job for job in members if self._folder.finished(job.name)]
            self._unrecorded[block] = len(members) - len(done)
            serials = {where.get(job.name) for job in done}
            if len(done) in (0, len(members)):
                continue
            if len(serials) == 1 and (serial := next(iter(serials))) in self.serials:
                self._of_block[block] = str(serial)
            else:
                self._do_again(done)
        self._note_idle()

    def choose(self, job: Job) -> PoolDevice | None:
        """The free device for a job that is to be recorded; None: none yet.

        Raises:
            LabError: the lease of the last device was lost.
        """
        while (device := self._choose(job)) is not None:
            try:
                device.check()
            except LabError as error:
                self._drop(device, error)
            else:
                return device
        return None

    def _choose(self, job: Job) -> PoolDevice | None:
        if job.block in self._moving:
            return None
        serial = self._of_block.get(job.block)
        if serial is not None:
            return None if serial in self._busy else self._find(serial)
        return self._idle[0] if self._idle else None

    def _note_idle(self) -> None:
        taken = {serial for block, serial in self._of_block.items() if self._unrecorded[block]} | self._busy.keys()
        self._idle = [each for each in self._devices if each.serial not in taken]

    def any_for(self, job: Job) -> PoolDevice:
        """The device whose worker analyzes a job that is recorded; it is not held for that."""
        return self._find(self._of_block.get(job.block)) or self._devices[0]

    def hold(self, device: PoolDevice, job: Job, token: str) -> None:
        """An attempt begins to record there."""
        self._busy[device.serial] = token
        self._of_block[job.block] = device.serial
        self._note_idle()

    def give_back(self, job: Job, token: str, *, recorded: bool) -> None:
        """An attempt needs its device no more; does nothing if it gave it back before."""
        for serial, holder in self._busy.items():
            if holder == token:
                del self._busy[serial]
                self._unrecorded[job.block] -= recorded
                self._note_idle()
                return

    def succeed(self, device: PoolDevice) -> None:
        """A job ended well there."""
        self._breakers[device.serial].succeed()

    def gives_up(self, job: Job, device: PoolDevice, error: SuiteError, *, last: bool) -> bool:
        """Counts a failure. True if the device was dropped for it and another one is to do the job.

        Args:
            job: what failed.
            device: where.
            error: why.
            last: whether the job is tried no more here.

        Raises:
            SuiteError: the error, where no other device may do the job: it is not the device's fault, no other is
                left, or the job failed so on another one before (then a kernel does not boot, for example).
        """
        reason = self._breakers[device.serial].fail(error)
        if reason is None and not last:
            return False
        if reason is not None:
            self._folder.append("quarantined", device=device.serial, text=reason)
            if device.quarantine is not None:
                device.quarantine(reason)
            error.add_note(f"{device.serial} got no more jobs: {reason}")
        failed_on = self._failed_on.setdefault(job.name, set())
        failed_on.add(device.serial)
        if blame(error) != "device" or len(failed_on) >= _MOST_DEVICES_A_JOB:
            raise error
        self._drop(device, error)
        return True

    def _drop(self, device: PoolDevice, error: SuiteError) -> None:
        self._devices = [each for each in self._devices if each is not device]
        if not self._devices:
            raise error
        self._busy.pop(device.serial, None)
        open_ = {b for b, serial in self._of_block.items() if serial == device.serial and self._unrecorded[b]}
        self._moving |= open_
        self._note_idle()
        self._tell(f"{device.serial} is left out from now on: {error}")

    def move(self, jobs: Iterable[Job], running: Collection[int]) -> list[Job]:
        """What was recorded of blocks whose device was dropped, to be done again with the rest of the block.

        Args:
            jobs: all of the campaign.
            running: blocks with jobs that run; they have to wait.
        """
        now = self._moving.difference(running)
        if not now:
            return []
        self._moving -= now
        for block in now:
            self._of_block.pop(block, None)
        done = [job for job in jobs if job.block in now and self._folder.finished(job.name)]
        self._do_again(done)
        return done

    def _do_again(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._unrecorded[job.block] += 1
            text = "the device of its block is gone"
            self._folder.append("set_aside", job=job.name, kept=self._folder.withdraw(job.name), text=text)

    def _find(self, serial: str | None) -> PoolDevice | None:
        return next((each for each in self._devices if each.serial == serial), None)
