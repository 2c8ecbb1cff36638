"""An attached device that no campaign uses: every verb that is no campaign itself opens one in this way.

A lease lives through reboots and between recordings, where a claim does not, so it is looked at before anything is done
to the device, even before adbd is asked to become root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from android_suite.boot.attached import attach
from android_suite.boot.booted import Booted
from android_suite.config import Config
from android_suite.device.connect import choose_ready, open_plain
from android_suite.device.lease import lease_device, read_lease
from android_suite.errors import LabError


@contextmanager
def attach_leased(
    config: Config, serial: str | None, *, holder: str, say: Callable[[str], None] = lambda _: None
) -> Iterator[Booted]:
    """`attach`, with the device leased for as long as the block runs.

    Args:
        config: gives the adb server, the device if ``serial`` is None, and the cache.
        serial: as for `attach`.
        holder: what the device is used for, for others to read.
        say: told of a wait.

    Raises:
        UsageError: several are attached and none was chosen.
        LabError: a campaign or somebody else holds the device, who is named, or no device is ready.
    """
    chosen = choose_ready(config, serial)
    with (
        lease_device(lambda: open_plain(config, chosen), chosen, config.cache, holder=holder, say=say),
        attach(config, chosen) as booted,
    ):
        yield booted


@contextmanager
def attach_unleased(config: Config, serial: str | None) -> Iterator[Booted]:
    """`attach`, if nobody holds a lease of the device; takes none, so that others may share the device in turn.

    Raises:
        LabError: as `attach_leased`; a lease whose holder ended on another host has to be removed by hand.
    """
    chosen = choose_ready(config, serial)
    held = read_lease(open_plain(config, chosen))
    if held is not None and not held.is_gone:
        raise LabError(
            f"{chosen} is in use ({held}); wait for its end, use another, or remove a lease whose holder is gone with "
            f"`android-suite lab release {chosen}`."
        )
    with attach(config, chosen) as booted:
        yield booted
