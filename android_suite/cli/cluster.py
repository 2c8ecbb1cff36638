"""Options that say where the jobs of a campaign run: a Dask scheduler, a run store, a device of a lab."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from android_suite.cli.output import say
from android_suite.errors import LabError, UsageError

if TYPE_CHECKING:
    from android_suite.campaign.cluster import Cluster
    from android_suite.campaign.plan_file import PlanFile
    from android_suite.config import Config

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The options as given."""

    scheduler: str | None
    store: str | None
    lab: Path | None
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the jobs run. ``quarantine`` puts the device aside; ``check`` raises if it was lost to another campaign."""

    config: Config
    serial: str | None
    cluster: Cluster | None
    store: str | None
    check: Callable[[], None] = lambda: None
    quarantine: Callable[[str], None] | None = None


scheduler_option = click.option(
    "--scheduler", metavar="ADDRESS", help="Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT (default: this host)."
)


def where_options(function: F) -> F:
    """Adds ``--scheduler``, ``--store``, ``--lab`` and ``--label``, given to the function as `Where`."""

    def command(*, scheduler: str | None, store: str | None, lab: Path | None, label: str | None, **rest: Any) -> Any:
        if scheduler is not None:
            from android_suite.campaign.cluster import check_address

            check_address(scheduler)
        if store is not None and scheduler is None:
            raise UsageError("--store is for workers of a scheduler; give --scheduler, or leave it out.")
        if label is not None and lab is None:
            raise UsageError("--label chooses a device of a lab; give --lab, or leave it out.")
        return function(where=Where(scheduler=scheduler, store=store, lab=lab, label=label), **rest)

    command.__doc__, command.__name__ = function.__doc__, function.__name__
    command.__dict__.update(function.__dict__)
    for option in (
        click.option("--label", help="Only devices of the lab with this label."),
        click.option("--lab", type=click.Path(path_type=Path), help="The lab's file: take a free device that fits."),
        click.option("--store", metavar="URL", help="Run store (fsspec) for workers that do not see the folder."),
        scheduler_option,
    ):
        command = option(command)
    return command  # type: ignore[return-value]


@contextlib.contextmanager
def open_place(file: PlanFile, where: Where, config: Config, serial: str | None, *, holder: str) -> Iterator[Place]:
    """Connects to the scheduler, chooses the device of the plan and leases it.

    Raises:
        LabError: no scheduler answers, or no device is free.
    """
    from android_suite.campaign.cluster import is_open, open_cluster
    from android_suite.campaign.lab import find_phone

    with contextlib.ExitStack() as stack:
        cluster = None
        if where.scheduler is not None:
            cluster = stack.enter_context(open_cluster(where.scheduler))
            if is_open(where.scheduler):
                say(
                    f"note: {where.scheduler} has no TLS: whoever reaches it runs commands on its workers, docs/cluster.md"
                )
        attached = file.plan.baseline.kind in ("attached", "fastboot")
        if where.lab is not None:
            if not attached or serial:
                raise UsageError("--lab chooses the device of a plan with attached kernels, instead of --serial.")
            yield stack.enter_context(_of_lab(file, where, config, cluster, holder))
            return
        serial = find_phone(file.plan, config, serial)
        check: Callable[[], None] = lambda: None  # noqa: E731
        if attached and serial is not None:
            check = stack.enter_context(_leased(config, serial, holder))
        yield Place(config=config, serial=serial, cluster=cluster, store=where.store, check=check)


@contextlib.contextmanager
def _of_lab(file: PlanFile, where: Where, config: Config, cluster: Cluster | None, holder: str) -> Iterator[Place]:
    """The first free device that fits; the next one if another campaign takes it in between."""
    from android_suite.lab.inventory import read_inventory
    from android_suite.lab.quarantine import put_aside
    from android_suite.lab.status import choose_device

    assert where.lab is not None
    inventory = read_inventory(where.lab)
    kernels = tuple(kernel.kernel for kernel in file.plan.kernels)
    busy: LabError | None = None
    for device, status in choose_device(inventory, config, label=where.label, kernels=kernels):
        with contextlib.ExitStack() as stack:
            try:
                check = stack.enter_context(_leased(device.config, device.serial, holder))
            except LabError as error:
                busy = busy or error
                continue
            say(f"device {status.serial} of {status.server}")

            def aside(reason: str, serial: str = device.serial) -> None:
                put_aside(inventory.state, serial, reason)
                say(f"{serial} is in quarantine: {reason}; `android-suite lab release {serial}` ends it")

            yield Place(
                config=device.config, serial=device.serial, cluster=cluster, store=where.store, check=check,
                quarantine=aside,
            )  # fmt: skip
            return
    assert busy is not None
    raise busy


@contextlib.contextmanager
def _leased(config: Config, serial: str, holder: str) -> Iterator[Callable[[], None]]:
    from android_suite.device.connect import open_plain
    from android_suite.device.lease import lease_device

    with lease_device(lambda: open_plain(config, serial), serial, config.cache, holder=holder, say=say) as lease:
        yield lease.check
