"""Names system calls by their numbers, which differ between 64-bit and 32-bit processes of the same kernel.

``raw_syscalls`` events contain the number, but not whether the caller is a 32-bit program. The arguments show it:
registers of a 32-bit program hold 32 bits, and calls on memory take page-aligned addresses. All threads of a process are
of one kind. If the arguments fit both kinds, a call is named only if its number means the same in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from android_suite.model.syscalls import CALL_NAMES, COMPAT, find_abi, numbers_of
from android_suite.tables.events import MAX_TID
from android_suite.trace.core.compiled import compiled

_ADVICES = np.array([*range(26), 100, 101, 102, 103], dtype=np.uint64)
_ON_ALIGNED_MEMORY = [CALL_NAMES.index(call) for call in ("munmap", "mprotect", "mremap")]
_MADVISE = CALL_NAMES.index("madvise")
_PAGE_MASK, _LOWEST_ADDRESS, _4_GIB = np.uint64(4095), np.uint64(65536), np.uint64(1 << 32)
_SLICE_ROWS = 1 << 20  # processed at a time, so that temporary arrays stay small
_TABLE_SIZE = 1024
_ADVICE, _RANGE = 1, 2  # the arguments that can be checked: advice on a range of memory, or a range alone
_NATIVE = ("arm64", "x86_64")
_ARGS = tuple(f"arg{i}" for i in range(6))

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def call_lookup(machine: str | None) -> npt.NDArray[np.int16] | None:
    """Index into CALL_NAMES by system call number (int16, below 1024); None if the machine's numbers are unknown."""
    abi = find_abi(machine)
    if abi is None:
        return None
    table = np.zeros(_TABLE_SIZE, np.int16)
    for number, call in numbers_of(abi).items():
        if number < _TABLE_SIZE:
            table[number] = call
    return table


def find_machine(call: npt.NDArray[np.integer], nr: npt.NDArray[np.int32]) -> str | None:
    """A machine on which these calls have these numbers; None if there is none or no call is named.

    Args:
        call: indices into CALL_NAMES, in any number, with repetitions.
        nr: the number of each; -1 if unknown.
    """
    pairs = np.unique(call[nr >= 0].astype(np.int64) << 32 | nr[nr >= 0].astype(np.int64))
    calls, numbers = pairs >> 32, pairs & 0xFFFFFFFF
    if not calls.any():
        return None
    named = {m: _calls(find_abi(m) or "", numbers) == calls for m in ("aarch64", "x86_64", "armv8l", "i686")}
    for machine, fits in named.items():
        if fits.all():
            return machine
    for machine, narrow in (("aarch64", "armv8l"), ("x86_64", "i686")):  # 32-bit processes beside 64-bit ones
        if (named[machine] | named[narrow] | (calls == 0)).all():
            return machine
    return None


def _calls(abi: str, nr: npt.NDArray[np.integer]) -> I64:
    """Index into CALL_NAMES of each number on a machine."""
    table = sorted(numbers_of(abi).items())
    keys, values = (np.array(column, np.int64) for column in zip(*table, strict=True))
    at = np.minimum(np.searchsorted(keys, nr), len(keys) - 1)
    return np.where(keys[at] == nr, values[at], 0)


@dataclass(slots=True, kw_only=True)
class _Evidence:
    """What the calls of each process show. Arrays have one value per process."""

    seen: Bools
    wide: Bools  # a register held more than 32 bits
    addresses: Bools  # a register held a possible address, below 4 GiB
    fits: dict[str, tuple[I64, I64]]  # by machine: calls on memory with sensible arguments, and all of them

    def believes(self, abi: str, of: Bools | None = None) -> Bools:
        """Whether (almost) all arguments fit, for each process or for the processes ``of`` together."""
        good, every = self.fits[abi]
        if of is not None:
            good, every = good[of].sum(keepdims=True), every[of].sum(keepdims=True)
        return (good > 0) & (good >= 0.95 * every)


def name_calls(syscalls: pd.DataFrame, threads: pd.DataFrame, machine: str | None) -> list[str]:
    """Names the numbered calls of ``syscalls`` in place; returns notes.

    Args:
        syscalls: frame of SYSCALL; ``call`` changes in rows whose ``nr`` is known.
        threads: frame of THREADS, for the processes.
        machine: the kernel's machine (``uname -m``). None if the trace does not name it; it is then inferred from the
            arguments, provided that they fit only one machine.
    """
    nr = syscalls["nr"].to_numpy()
    native = find_abi(machine)
    if not (nr >= 0).any():
        return []
    if machine is not None and native not in COMPAT:
        # The reader has already named what can be named.
        return [] if native else [f"system call numbers are not named: those of {machine[:64]} are not known"]
    process = _processes(syscalls["tid"].to_numpy(), threads)
    evidence = _gather(syscalls, process, (*_NATIVE, *(COMPAT[abi] for abi in _NATIVE)))
    notes: list[str] = []
    if native is None:
        native = _infer(evidence)
        if native is None:
            return ["system call numbers are not named: the trace does not name the architecture"]
        notes.append(f"system call numbers were read as those of {native}, which the arguments fit")
    abis: tuple[str, ...] = (native,)
    choice = np.zeros(len(evidence.seen), np.int64)
    if native in COMPAT:
        abis, choice = (native, COMPAT[native]), _choose(evidence, native)
        notes += _notes(evidence, choice, abis)
        if machine is not None and not choice.any():
            return notes  # all native: the reader has named them
    call = syscalls["call"].to_numpy(copy=True)
    for start in range(0, len(nr), _SLICE_ROWS):
        rows = slice(start, start + _SLICE_ROWS)
        number, how = nr[rows], choice[process[rows]]
        named = np.stack([_calls(abi, number) for abi in abis])
        agreed = np.where((named == named[0]).all(axis=0), named[0], 0)
        chosen = np.select([how == i for i in range(len(abis))], list(named), agreed)
        call[rows] = np.where(number >= 0, chosen, call[rows])
    syscalls["call"] = call
    return notes


def _processes(tids: npt.NDArray[np.int32], threads: pd.DataFrame) -> npt.NDArray[np.int32]:
    """A small number for the process of each row; a thread of an unknown process counts as its own process.

    All rows with an impossible tid, which damaged events have, count as one more process.
    """
    last = min(int(tids.max(initial=0)), MAX_TID)
    owner = np.arange(last + 2, dtype=np.int64)
    owner[-1] = -1
    tid, tgid = threads["tid"].to_numpy(), threads["tgid"].to_numpy()
    known = (tgid >= 0) & (tid >= 0) & (tid <= last)
    owner[tid[known]] = tgid[known]
    place = np.where((tids >= 0) & (tids <= last), tids, last + 1)
    used = np.zeros(owner.size, bool)
    used[place] = True
    number = np.zeros(owner.size, np.int32)
    number[used] = np.unique(owner[used], return_inverse=True)[1]
    return number[place]


def _gather(syscalls: pd.DataFrame, process: npt.NDArray[np.int32], abis: tuple[str, ...]) -> _Evidence:
    count = int(process.max(initial=0)) + 1
    seen, wide, addresses = np.zeros((3, count), bool)
    good, every = np.zeros((2, len(abis), count), np.int64)
    parts = np.zeros((len(abis), _TABLE_SIZE), np.int8)
    for place, abi in enumerate(abis):
        of_number = _calls(abi, np.arange(_TABLE_SIZE))
        parts[place] = np.select([of_number == _MADVISE, np.isin(of_number, _ON_ALIGNED_MEMORY)], [_ADVICE, _RANGE], 0)
    known = np.zeros(_TABLE_SIZE, bool)
    known[_ADVICES.astype(np.int64)] = True
    nr, kind, result, *args = (_frozen(syscalls[name]) for name in ("nr", "kind", "ret", *_ARGS) if name in syscalls)
    _note_calls(nr, kind, result, tuple(args), process, parts, known, seen, wide, addresses, good, every)
    fits = {abi: (good[place], every[place]) for place, abi in enumerate(abis)}
    return _Evidence(seen=seen, wide=wide, addresses=addresses, fits=fits)


def _frozen(column: pd.Series) -> npt.NDArray[Any]:
    """The column as a contiguous read-only array: pandas varies in both, and numba compiles for each variant."""
    values = np.ascontiguousarray(column.to_numpy()).view()
    values.flags.writeable = False
    return values


@compiled
def _note_calls(
    nr: Any, kind: Any, result: Any, args: Any, process: Any, parts: Any, known: Any,
    seen: Any, wide: Any, addresses: Any, good: Any, every: Any,
) -> None:  # fmt: skip
    """Collects the evidence for the kind of each process.

    Args:
        nr: int32 (calls).
        kind: int8 (calls); 0: entry.
        result: int64 (calls).
        args: uint64 (calls), at least three.
        process: int32 (calls).
        parts: int8 (machines, numbers): _ADVICE, _RANGE or 0 for each number of each machine.
        known: bool: whether each value of advice exists.
        seen: bool (processes), out.
        wide: bool (processes), out.
        addresses: bool (processes), out.
        good: int64 (machines, processes), out.
        every: int64 (machines, processes), out.
    """
    for i in range(nr.size):
        number, of = nr[i], process[i]
        if number < 0:
            continue
        seen[of] = True
        if kind[i] != 0:
            wide[of] |= result[i] >= 1 << 32  # the result of a 32-bit call is 32 bits and a sign
            continue
        largest = np.uint64(0)
        for arg in args:
            largest = max(largest, arg[i])
        wide[of] |= largest >= _4_GIB
        addresses[of] |= largest >= _LOWEST_ADDRESS
        if number >= parts.shape[1]:
            continue
        first, length, third = args[0][i], args[1][i], args[2][i]
        aligned = first & _PAGE_MASK == 0 and first >= _LOWEST_ADDRESS
        for machine in range(parts.shape[0]):
            part = parts[machine, number]
            if part == _ADVICE:
                every[machine, of] += 1
                good[machine, of] += aligned and third < np.uint64(known.size) and known[third]
            elif part == _RANGE:
                every[machine, of] += 1
                good[machine, of] += aligned and length > 0


def _infer(evidence: _Evidence) -> str | None:
    """The machine of a trace that does not name it: the only one that the arguments fit; None if none or several do."""
    if evidence.wide.any():
        believed = [abi for abi in _NATIVE if evidence.believes(abi, evidence.wide)[0]]
        if not believed:  # of a 64-bit kernel, only the 32-bit processes show it
            narrow = evidence.seen & ~evidence.wide
            believed = [abi for abi in _NATIVE if evidence.believes(COMPAT[abi], narrow)[0]]
    else:
        believed = [abi for abi in evidence.fits if evidence.believes(abi, evidence.seen)[0]]
    return believed[0] if len(believed) == 1 else None


def _choose(evidence: _Evidence, native: str) -> I64:
    """The kind of each process: 0 native, 1 32-bit, 2 either."""
    one, other = evidence.believes(native), evidence.believes(COMPAT[native])
    mixed = evidence.wide & other & ~one  # a 64-bit register in one event, 32-bit calls in all the others
    choice = np.select(
        [mixed, evidence.wide, one & ~other, other & ~one, one & other, evidence.addresses], [2, 0, 0, 1, 2, 2], -1
    )
    # A process that passes no address shows nothing: it counts as native unless the trace has 32-bit processes.
    rest = (choice < 0) & evidence.seen
    choice[choice < 0] = 0
    choice[rest] = 2 if bool((choice[evidence.seen] > 0).any()) else 0
    return choice.astype(np.int64)


def _notes(evidence: _Evidence, choice: I64, abis: tuple[str, ...]) -> list[str]:
    notes = []
    if narrow := int((evidence.seen & (choice == 1)).sum()):
        notes.append(f"system calls of {narrow} 32-bit processes were read with {abis[1]}'s numbers")
    if either := int((evidence.seen & (choice == 2)).sum()):
        notes.append(
            f"whether {either} processes are 64-bit or 32-bit cannot be determined from their system calls: "
            f"calls whose numbers differ between {abis[0]} and {abis[1]} are not named"
        )
    return notes
