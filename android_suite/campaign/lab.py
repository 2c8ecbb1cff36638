"""The real collaborators of a campaign: devices, `analyze`, `compare`, `report`."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from android_suite.boot.attached import attach, reboot_attached
from android_suite.boot.avd import boot_avd
from android_suite.boot.booted import Booted, KernelCrashed
from android_suite.boot.cuttlefish import boot_cuttlefish
from android_suite.boot.fastboot import boot_fastboot, restore_phone
from android_suite.boot.kept import list_kept
from android_suite.boot.proof import read_expected
from android_suite.boot.virtual import boot_virtual
from android_suite.campaign import evaluate
from android_suite.campaign.plan_file import PlanFile, add_overlay
from android_suite.campaign.pool import PoolDevice
from android_suite.campaign.qualify import Collaborators
from android_suite.campaign.schedule import IMAGE, Job
from android_suite.config import Config
from android_suite.device.connect import choose_serial, list_devices
from android_suite.errors import MachineError, SuiteError, UsageError
from android_suite.model.identity import CrashRecord
from android_suite.model.plan import Plan
from android_suite.record.live import RecordOptions, record
from android_suite.record.run import record_run
from android_suite.record.sealed import record_deterministic
from android_suite.store.run import RunWriter
from android_suite.virtual.image import build_base
from android_suite.virtual.kernels import check_kernel, fetch_kernel
from android_suite.virtual.perfetto import build_perfetto
from android_suite.virtual.runtimes import build_chosen
from android_suite.workload.collector import require_runtime
from android_suite.workload.registry import plan_scenarios
from android_suite.workload.runtime import check_runtime

# The iterations of a boot take consecutive seeds; those of two boots must not overlap.
_SEEDS_A_BOOT = 1000


def check_parameters(file: PlanFile) -> None:
    """Checks the parameters of every scenario of a plan; no device is touched.

    Raises:
        ConfigError: a scenario does not know a parameter, or a value is invalid.
    """
    attached = any(kernel.kind != "virtual" for kernel in file.plan.kernels)
    for index, scenario in enumerate(file.plan.scenarios):
        try:
            ((workload, complete),) = plan_scenarios((scenario.name,), scenario.parameters, mode=file.plan.mode)
            check_runtime(complete, defaults=workload.defaults, runtime=file.plan.runtime, attached=attached)
            require_runtime(scenario.parameters, file.plan.runtime)
        except UsageError as error:
            named = next((name for name in scenario.parameters if name in str(error)), None)
            path = ("scenario", index, "parameters") + ((named,) if named else ())
            found = repr(scenario.parameters[named]) if named else repr(dict(scenario.parameters))
            raise file.source.fault(path, f"a parameter of the scenario ({str(error).rstrip('.')})", found) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class LabRecorder:
    """Boots a job's kernel, or attaches to the device, and records its scenarios.

    Args:
        config: the settings.
        serial: serial of the attached device, if the plan uses one.
        cpus: number of CPUs of a virtual device in real time.
        take_tracing: take over a trace that another tool records on the device.
    """

    config: Config
    serial: str | None = None
    cpus: int = 2
    take_tracing: bool = False

    def __call__(self, job: Job, path: Path, say: Callable[[str], None]) -> None:
        """See `Recorder`."""
        work = self._record_deterministic if job.mode == "deterministic" else self._record_realtime
        record_run(path, partial(work, job, say), label=job.label, mode=job.mode, overlays=job.overlay_sha256)

    def _record_realtime(self, job: Job, say: Callable[[str], None], run: RunWriter) -> None:
        say("booting")
        with self._boot(job, say) as booted:
            for scenario in job.scenarios:
                options = RecordOptions(
                    cache=self.config.cache,
                    iterations=scenario.iterations,
                    seed=job.seed * _SEEDS_A_BOOT + scenario.first,
                    parameters=scenario.parameters,
                    trace=scenario.traced,
                    expect_release=booted.release,
                    accel=booted.accel,
                    configuration=booted.configuration,
                    take_tracing=self.take_tracing,
                    capture=job.capture,
                    ready=job.ready,
                )
                done = record((scenario.name,), booted.device, run, options, crash_probe=booted.crash_probe, say=say)
                if done[-1].crash:
                    break

    def _boot(self, job: Job, say: Callable[[str], None]) -> AbstractContextManager[Booted]:
        image = Path(job.kernel)
        match job.boot_kind:
            case "attached":
                return self._boot_installed(job, say)
            case "fastboot":
                return boot_fastboot(self.config, self.serial or "", image, job.boot, say=say)
            case "avd":
                return boot_avd(self.config, image, job.boot, say=say)
            case "cuttlefish":
                return boot_cuttlefish(self.config, image, job.boot, say=say)
            case "virtual":
                overlays = tuple(Path(overlay) for overlay in job.overlay)
                return boot_virtual(job.kernel, config=self.config, arch=job.arch, cpus=self.cpus, overlays=overlays)

    def _boot_installed(self, job: Job, say: Callable[[str], None]) -> AbstractContextManager[Booted]:
        """The kernel that is installed: a job of the same plan may have flashed another one."""
        if self.serial and restore_phone(self.config, self.serial, say=say) is not None:
            return attach(self.config, self.serial, release=job.boot.release)
        return reboot_attached(self.config, self.serial, release=job.boot.release, say=say)

    def _record_deterministic(self, job: Job, say: Callable[[str], None], run: RunWriter) -> None:
        (scenario,) = job.scenarios
        record_deterministic(
            (scenario.name,),
            run,
            config=self.config,
            kernel=job.kernel,
            arch=job.arch,
            cpus=1,
            overlays=tuple(Path(overlay) for overlay in job.overlay),
            seed=job.seed,
            parameters=scenario.parameters,
            trace=scenario.traced,
            say=say,
        )


def make_collaborators(config: Config, *, take_tracing: bool = False) -> Collaborators:
    """The real collaborators; `make_pool_device` has the recorders of attached devices."""
    return Collaborators(
        recorder=LabRecorder(config=config, take_tracing=take_tracing),
        analyzer=evaluate.analyze_job,
        comparer=evaluate.compare_plan,
        renderer=evaluate.render_plan,
    )


def make_pool_device(
    config: Config,
    serial: str,
    *,
    take_tracing: bool,
    check: Callable[[], None],
    quarantine: Callable[[str], None] | None,
) -> PoolDevice:
    """An attached device of a campaign. ``config`` reaches its adb server; of the functions see `PoolDevice`."""
    recorder = LabRecorder(config=config, serial=serial, take_tracing=take_tracing)
    return PoolDevice(serial=serial, recorder=recorder, check=check, quarantine=quarantine)


def find_phone(plan: Plan, config: Config, serial: str | None) -> str | None:
    """The serial of the phone that a plan runs on; None if it runs on none.

    Raises:
        UsageError: several are attached and none was chosen.
        LabError: none is attached.
    """
    if plan.baseline.kind not in ("attached", "fastboot"):
        return serial
    wanted = serial or config.serial
    kept = list_kept(config)
    if wanted is None and len(kept) == 1 and not list_devices(config):
        return kept[0].serial  # an earlier run left it in its bootloader
    return choose_serial(wanted, list_devices(config))


@contextlib.contextmanager
def restored_at_end(plan: Plan, config: Config, serial: str | None, *, say: Callable[[str], None]) -> Iterator[None]:
    """Puts back what the phone of a plan had, also after a failure or an interrupt."""
    try:
        yield
    except BaseException:
        try:
            _restore(plan, config, serial, say)
        except SuiteError as failure:  # the first failure is the one to raise
            say("; ".join([str(failure), *getattr(failure, "__notes__", ())]))
        raise
    _restore(plan, config, serial, say)


def _restore(plan: Plan, config: Config, serial: str | None, say: Callable[[str], None]) -> None:
    if serial is not None and plan.baseline.kind in ("attached", "fastboot"):
        restore_phone(config, serial, say=say)


def check_kernels(file: PlanFile, config: Config, *, say: Callable[[str], None] = lambda _: None) -> None:
    """Looks whether every kernel of a plan exists; nothing is fetched.

    Args:
        file: the plan.
        config: names the cache and the Debian mirror.
        say: told where that could not be found out.

    Raises:
        UsageError: an unknown kernel.
    """
    for kernel in file.plan.kernels:
        if kernel.kind != "virtual":
            if kernel.is_path:
                read_expected(Path(kernel.kernel), kernel.release)
            continue
        try:
            check_kernel(kernel.kernel, file.plan.arch, config=config)
        except MachineError as error:
            say(f"whether there is a kernel {kernel.kernel} is not known: {error}")


def prepare_lab(file: PlanFile, config: Config, *, say: Callable[[str], None] = lambda _: None) -> PlanFile:
    """Fetches every kernel and builds the virtual device and its runtime before the first job; identifies them by content.

    So a campaign that started with another kernel package or another guest has another plan and is refused.

    Raises:
        ConfigError: a scenario does not know a parameter.
        UsageError: a kernel is unknown.
        MachineError: a kernel cannot be fetched, or the image cannot be built.
        NotReady: an image given by path does not boot.
    """
    check_parameters(file)
    digests = dict(file.digests)
    booted = [kernel.kernel for kernel in file.plan.kernels if kernel.kind == "virtual"]
    for named in booted:
        digests[named] = fetch_kernel(named, file.plan.arch, config=config).sha256
    if booted:
        digests[IMAGE] = _digest_guest(file.plan.arch, config)
    for kernel in file.plan.kernels:
        if kernel.kind != "virtual" and kernel.is_path:
            read_expected(Path(kernel.kernel), kernel.release)  # before the phone is touched
    file = _add_runtime(replace(file, digests=digests), config, say)
    if booted and file.plan.capture in ("perfetto", "both"):
        perfetto = build_perfetto(file.plan.arch, config=config).path
        file = add_overlay(file, str(perfetto), hashlib.sha256(perfetto.read_bytes()).hexdigest())
    if file.plan.mode == "deterministic":
        for named in booted:
            if "/" in named:
                say(f"trying to boot {named}")
                try_boot(named, file.plan.arch, config)
    return file


def identify_guest(file: PlanFile, config: Config, *, say: Callable[[str], None] = lambda _: None) -> PlanFile:
    """The plan with the virtual device and its runtime, both built if needed and known by content; its kernels are not.

    Raises:
        MachineError: the virtual device or the runtime cannot be built.
    """
    digests = {**file.digests, IMAGE: _digest_guest(file.plan.arch, config)}
    return _add_runtime(replace(file, digests=digests), config, say)


def _add_runtime(file: PlanFile, config: Config, say: Callable[[str], None]) -> PlanFile:
    if file.plan.runtime is None:
        return file
    runtime = build_chosen(file.plan.arch, android=file.plan.android, config=config, progress=say)
    return add_overlay(file, str(runtime.overlay), runtime.sha256)


def _digest_guest(arch: str, config: Config) -> str:
    """SHA-256 of the virtual device, without kernel and overlays; builds it if needed."""
    parts = sorted(build_base(arch, config=config).digests.items())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def try_boot(kernel: str, arch: str, config: Config) -> CrashRecord | None:
    """Boots in real time, which detects a hanging kernel within two minutes; virtual time takes longer.

    Returns:
        The crash of a kernel that crashed meanwhile. A campaign goes on then: its jobs record the crash as a result.

    Raises:
        NotReady: it does not boot.
    """
    try:
        with boot_virtual(kernel, config=config, arch=arch):
            return None
    except KernelCrashed as error:
        return error.crash
