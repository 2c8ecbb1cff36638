"""Reads the kernel symbols of a Perfetto trace. A packet sequence uses their numbers until it clears or redefines them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.trace.perfetto.numbers import number_of, numbers_of
from android_suite.trace.perfetto.packets import Packets
from android_suite.trace.perfetto.scan import Array, expand_field, read_columns

_CLEARED = protos.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
_SMALLEST_ADDRESS = 1 << 32  # a smaller caller is a symbol's number, any other an address


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSymbols:
    """``tables[epoch_of_packet[p]]`` are the symbols that packet ``p`` may use."""

    tables: tuple[Mapping[int, str], ...]
    epoch_of_packet: Array

    def name_callers(self, packet: Array, caller: Array) -> tuple[list[str], Array]:
        """Names of callers (uint64) in the given packets: the different names, and the index of the name of each caller.

        The name of a number without a symbol is '' (unknown), that of an address its hexadecimal form.
        """
        keys = np.empty(len(caller), dtype=[("epoch", np.int64), ("caller", np.uint64)])
        keys["epoch"], keys["caller"] = self.epoch_of_packet[packet], caller
        different, index = np.unique(keys, return_inverse=True)
        names = [self._name(int(key["epoch"]), int(key["caller"])) for key in different]
        return names, index

    def _name(self, epoch: int, caller: int) -> str:
        known = self.tables[epoch].get(caller)
        if known is not None:
            return known
        return f"0x{caller:x}" if caller >= _SMALLEST_ADDRESS else ""


def read_symbols(packets: Packets) -> KernelSymbols:
    """Follows the symbols that each sequence defines and clears, in file order."""
    count = len(packets.columns.good)
    which, start, end = packets.of("interned_data")
    parent, at, to = expand_field(packets.buf, start, end, number_of("InternedData", "kernel_symbols"))
    epochs = np.zeros(count, np.int64)
    if not len(parent):
        return KernelSymbols(tables=({},), epoch_of_packet=epochs)
    found = read_columns(packets.buf, at, to, numbers_of("InternedString", "iid", "str"))
    spans = found.span(1)
    defined: dict[int, list[tuple[int, str]]] = {}
    for p, iid, a, b in zip(
        which[parent].tolist(), found.number(0).tolist(), *(s.tolist() for s in spans), strict=True
    ):
        defined.setdefault(p, []).append((iid, packets.buf[a:b].tobytes().decode("utf-8", "replace")))
    sequence = packets.number("trusted_packet_sequence_id")
    cleared = (packets.number("sequence_flags") & _CLEARED) != 0
    tables: list[Mapping[int, str]] = [{}]
    for number in np.unique(sequence[list(defined)]).tolist():
        mine = np.flatnonzero(sequence == number)
        # A new id does not affect earlier packets, so it is added to the table; a redefined id begins a new table.
        current: dict[int, str] = {}
        tables.append(current)
        changes = mine[cleared[mine] | np.isin(mine, list(defined))].tolist()
        epoch_at = [len(tables) - 1]
        for p in changes:
            new = defined.get(p, ())
            if cleared[p] or any(current.get(iid, name) != name for iid, name in new):
                current = {} if cleared[p] else dict(current)
                tables.append(current)
            current.update(new)
            epoch_at.append(len(tables) - 1)
        epochs[mine] = np.array(epoch_at)[np.searchsorted(changes, mine, side="right")]
    return KernelSymbols(tables=tuple(tables), epoch_of_packet=epochs)
