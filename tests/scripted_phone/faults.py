"""How a phone misbehaves, service by service."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.scripted_phone.wire import Channel, Gone

if TYPE_CHECKING:
    from tests.scripted_phone.phone import ScriptedPhone


@dataclass
class Fault:
    """A misbehaviour of the services whose name matches, until ``times`` of them were hit.

    Attributes:
        match: searched in the service, such as ``dumpsys thermalservice`` or ``sync:``.
        what: ``hang`` never answers; ``garbage`` answers nonsense; ``flood`` and ``complain`` never stop to answer (on
            standard output, or on standard error); ``half_close`` ends without a status; ``vanish`` is a
            pulled cable; ``refuse`` is a service that adbd does not have.
        after_bytes: of answer, before half_close and vanish.
        back_s: a vanished phone is plugged in again after so many seconds; None: it stays away.
    """

    match: str
    what: Literal["hang", "garbage", "flood", "complain", "half_close", "vanish", "refuse"]
    after_bytes: int = 0
    times: int = 1 << 30
    back_s: float | None = None


def misbehave(phone: ScriptedPhone, service: str, channel: Channel) -> bool:
    """Plays the first fault that matches; True if that was all."""
    fault = next((each for each in phone.faults if each.times > 0 and re.search(each.match, service)), None)
    if fault is None:
        return False
    fault.times -= 1
    match fault.what:
        case "refuse":
            channel.refuse()
        case "hang":
            channel.accept()
            while channel.read():
                pass
        case "garbage":
            channel.accept()
            channel.write(b"\x07\xff\xff\xff\xffnonsense\x00" * 50)
        case "flood" | "complain":
            channel.accept()
            kind = 1 if fault.what == "flood" else 2
            head = b"DATA" if service.startswith("sync:") else bytes([kind])
            with suppress(Gone):
                while True:
                    channel.write(head + struct.pack("<I", 1000) + b"y" * 1000)
        case "half_close":
            channel.limit(fault.after_bytes, channel.close)
            return False
        case "vanish":
            channel.limit(fault.after_bytes, lambda: phone.unplug(back_s=fault.back_s))
            return False
    return True
