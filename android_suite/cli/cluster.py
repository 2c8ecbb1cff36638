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
    devices: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """A leased device: its name, the settings that reach it, and what `PoolDevice` says of the two functions."""

    serial: str
    config: Config
    check: Callable[[], None]
    quarantine: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the jobs run; ``phones``: the attached devices of the plan."""

    cluster: Cluster | None
    store: str | None
    phones: tuple[Phone, ...] = ()


scheduler_option = click.option(
    "--scheduler", metavar="ADDRESS", help="Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT (default: this host)."
)


def where_options(function: F) -> F:
    """Adds ``--scheduler``, ``--store``, ``--lab``, ``--label`` and ``--devices``, given to the function as `Where`."""

    def command(
        *, scheduler: str | None, store: str | None, lab: Path | None, label: str | None, devices: int, **rest: Any
    ) -> Any:
        if scheduler is not None:
            from android_suite.campaign.cluster import check_address

            check_address(scheduler)
        if store is not None and scheduler is None:
            raise UsageError("--store is for workers of a scheduler; give --scheduler, or leave it out.")
        if label is not None and lab is None:
            raise UsageError("--label chooses a device of a lab; give --lab, or leave it out.")
        if devices > 1 and lab is None:
            raise UsageError("--devices takes several devices of a lab; give --lab, or leave it out.")
        where = Where(scheduler=scheduler, store=store, lab=lab, label=label, devices=devices)
        return function(where=where, **rest)

    command.__doc__, command.__name__ = function.__doc__, function.__name__
    command.__dict__.update(function.__dict__)
    for option in (
        click.option(
            "--devices",
            type=click.IntRange(1, 1000),
            default=1,
            show_default=True,
            help="Run on up to so many devices of the lab at once; each block of kernels on one of them.",
        ),
        click.option("--label", help="Only devices of the lab with this label."),
        click.option("--lab", type=click.Path(path_type=Path), help="The lab's file: take a free device that fits."),
        click.option("--store", metavar="URL", help="Run store (fsspec) for workers that do not see the folder."),
        scheduler_option,
    ):
        command = option(command)
    return command  # type: ignore[return-value]


@contextlib.contextmanager
def open_place(file: PlanFile, where: Where, config: Config, serial: str | None, *, holder: str) -> Iterator[Place]:
    """Connects to the scheduler, chooses the devices of the plan and leases them.

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
        phones: tuple[Phone, ...] = ()
        if where.lab is not None:
            if not attached or serial:
                raise UsageError("--lab chooses the device of a plan with attached kernels, instead of --serial.")
            phones = _lease_of_lab(file, where, config, holder, stack)
        elif attached and (serial := find_phone(file.plan, config, serial)) is not None:
            check = stack.enter_context(_leased(config, serial, holder))
            phones = (Phone(serial=serial, config=config, check=check),)
        yield Place(cluster=cluster, store=where.store, phones=phones)


def _lease_of_lab(
    file: PlanFile, where: Where, config: Config, holder: str, stack: contextlib.ExitStack
) -> tuple[Phone, ...]:
    """The first free devices that fit; the next one for each that another campaign takes in between."""
    from android_suite.lab.inventory import read_inventory
    from android_suite.lab.quarantine import put_aside
    from android_suite.lab.status import choose_device

    assert where.lab is not None
    inventory = read_inventory(where.lab)
    kernels = tuple(kernel.kernel for kernel in file.plan.kernels)
    found: list[Phone] = []
    busy: LabError | None = None
    for device, status in choose_device(inventory, config, label=where.label, kernels=kernels):
        if len(found) == where.devices or (found and status.standing == "busy"):
            break
        try:
            check = stack.enter_context(_leased(device.config, device.serial, holder))
        except LabError as error:
            busy = busy or error
            continue
        say(f"device {status.serial} of {status.server}")

        def aside(reason: str, serial: str = device.serial) -> None:
            put_aside(inventory.state, serial, reason)
            say(f"{serial} is in quarantine: {reason}; `android-suite lab release {serial}` ends it")

        found.append(Phone(serial=device.serial, config=device.config, check=check, quarantine=aside))
    if not found:
        assert busy is not None
        raise busy
    if len(found) < where.devices:
        say(f"{len(found)} of {where.devices} devices are free and fit")
    return tuple(found)


@contextlib.contextmanager
def _leased(config: Config, serial: str, holder: str) -> Iterator[Callable[[], None]]:
    from android_suite.device.connect import open_plain
    from android_suite.device.lease import lease_device

    with lease_device(lambda: open_plain(config, serial), serial, config.cache, holder=holder, say=say) as lease:
        yield lease.check
