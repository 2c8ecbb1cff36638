"""Counters that the kernel keeps by itself while a trace is captured: kprobes and histograms, no ring buffer, no reader.

Calls and their paths are counted in a tracing instance of their own and by kprobes, so they share no tracepoint with the
capture: each entry of the system call, each taking of an rwsem by code of mm/madvise.c, each look-up of a VMA lock.
Times are summed by histogram triggers on the captured events themselves, so that both sides mean the same instants; the
pairing of beginnings with ends, and the sums, are the kernel's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from android_suite.device.device import Device
from android_suite.device.files import Write

TRACEFS = "/sys/kernel/tracing"
INSTANCE = f"{TRACEFS}/instances/witness"
# Code of mm/madvise.c lies in one piece around do_madvise; two functions of other files carry the name as well.
_MADVISE = re.compile(r"^(?:madvise_\w+|do_madvise|vector_madvise|__arm64_sys_(?:process_)?madvise)$")
_NEAR_BYTES = 1 << 16
_ENTRY = re.compile(r"^\{ (?P<keys>.*) \} hitcount: +(?P<hits>\d+)(?P<values>(?: +\w+: +\d+)*)\s*$")
_SUMS = "hist:keys=pid,{key}.hex{more}:vals=hitcount,ns:size=8192"

# Register names and the layout of pt_regs are arm64's: behavior is the third argument, x30 the caller's address.
PROBES = (
    "p:witness/sys_madvise __arm64_sys_madvise behavior=+16(%x0):s32",
    "p:witness/down_read down_read caller=%x30:x64",
    "p:witness/down_write_killable down_write_killable caller=%x30:x64",
    "r256:witness/lock_vma lock_vma_under_rcu found=$retval:x64",
)
SYNTHETIC = (
    "witness_took int pid; s32 behavior; u64 caller",
    "witness_wait int pid; u64 mm; bool write; u64 ns",
    "witness_hold int pid; u64 mm; bool write; u64 ns",
    "witness_slept int pid; u64 lock; u64 ns",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One row of a histogram: keys as text, hits, summed values."""

    keys: Mapping[str, str]
    hits: int
    sums: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCounts:
    """What the kernel counted.

    Attributes:
        calls: (tid, advice) to madvise calls entered.
        took: (tid, advice) to calls in which mm/madvise.c took an rwsem: mmap_lock, there is no other in it.
        walked: (tid, function that took it) to number of such calls; all but ``madvise_lock`` did so after a look-up of
            the VMA lock.
        vma_found: tid to look-ups of a VMA lock by madvise that gave one.
        vma_missed: tid to those that gave none.
        waits: (tid, mm, write) to number and sum in ns of start_locking to acquire_returned.
        holds: (tid, mm, write) to number and sum in ns of acquire_returned to released.
        slept: (tid, lock address) to number and sum in ns of contention_begin to contention_end of an rwsem.
        switches: tid to how often it was switched to.
        missed: hits of probes that the kernel had to leave out, and rows that found no room: 0, or nothing here counts.
    """

    calls: Mapping[tuple[int, int], int]
    took: Mapping[tuple[int, int], int]
    walked: Mapping[tuple[int, str], int]
    vma_found: Mapping[int, int]
    vma_missed: Mapping[int, int]
    waits: Mapping[tuple[int, int, bool], tuple[int, int]]
    holds: Mapping[tuple[int, int, bool], tuple[int, int]]
    slept: Mapping[tuple[int, int], tuple[int, int]]
    switches: Mapping[int, int]
    missed: int


def find_madvise_code(kallsyms: str) -> tuple[int, int]:
    """First address of mm/madvise.c's code, and the address of its last function, which takes no lock of interest."""
    addresses: dict[str, int] = {}
    for line in kallsyms.splitlines():
        address, _, name = [*line.split(), "", ""][:3]
        if _MADVISE.match(name.partition(".")[0]) or _MADVISE.match(name):
            addresses.setdefault(name, int(address, 16))
    middle = addresses["do_madvise"]
    near = [address for address in addresses.values() if abs(address - middle) < _NEAR_BYTES]
    return min(near), max(near)


def plan_counters(kallsyms: str) -> tuple[Write, ...]:
    """Everything written to tracefs to make the kernel count; for a freshly booted device."""
    low, high = find_madvise_code(kallsyms)
    inside = f"if caller >= {low:#x} && caller < {high:#x}"
    caught = (
        "hist:keys=common_pid:{0}=$asked:onmatch(witness.sys_madvise).trace(witness_took,common_pid,${0},caller) {1}"
    )
    summed = "hist:keys=common_pid,{key}:{name}=common_timestamp-${since}:clock=mono:onmatch({of}).trace({to})"
    lock = "mmap_lock.mmap_lock"
    top = {
        "mmap_lock/mmap_lock_start_locking": ["hist:keys=common_pid,mm:asked_at=common_timestamp:clock=mono:size=8192"],
        "mmap_lock/mmap_lock_acquire_returned": [
            summed.format(
                key="mm",
                name="waited",
                since="asked_at",
                of=f"{lock}_start_locking",
                to="witness_wait,common_pid,mm,write,$waited",
            ),
            "hist:keys=common_pid,mm:got_at=common_timestamp:clock=mono:size=8192 if success==1",
        ],
        "mmap_lock/mmap_lock_released": [
            summed.format(
                key="mm",
                name="held",
                since="got_at",
                of=f"{lock}_acquire_returned",
                to="witness_hold,common_pid,mm,write,$held",
            )
        ],
        # flags 2 and 4 alone: an rwsem for reading, for writing. Spinning mutexes and rwlocks set further bits.
        "lock/contention_begin": [
            "hist:keys=common_pid,lock_addr:slow_at=common_timestamp:clock=mono:size=8192 if flags==2||flags==4"
        ],
        "lock/contention_end": [
            summed.format(
                key="lock_addr",
                name="slow",
                since="slow_at",
                of="lock.contention_begin",
                to="witness_slept,common_pid,lock_addr,$slow",
            )
        ],
        "sched/sched_switch": ["hist:keys=next_pid:size=8192"],
    }
    own = {
        "witness/sys_madvise": ["hist:keys=common_pid,behavior:size=8192", "hist:keys=common_pid:asked=behavior"],
        "witness/down_read": [caught.format("asked_r", inside)],
        "witness/down_write_killable": [caught.format("asked_w", inside)],
        "witness/lock_vma": [
            "hist:keys=common_pid,__probe_ret_ip.sym:size=8192 if found!=0",
            "hist:keys=common_pid,__probe_ret_ip.sym:size=8192 if found==0",
        ],
        # Here and not at the captured buffer: the kernel reserves room for such an event and gives it back, and what it
        # cannot give back stays as padding, whose time the kernel's own reader forgets (see docs/witness.md).
        "synthetic/witness_wait": [_SUMS.format(key="mm", more=",write")],
        "synthetic/witness_hold": [_SUMS.format(key="mm", more=",write")],
        "synthetic/witness_slept": [_SUMS.format(key="lock", more="")],
        "synthetic/witness_took": ["hist:keys=pid,behavior,caller.sym:size=8192"],
    }
    writes = [Write(path=f"{TRACEFS}/trace_clock", value="mono")]
    writes += [Write(path=f"{TRACEFS}/kprobe_events", value=probe, append=True) for probe in PROBES]
    writes += [Write(path=f"{TRACEFS}/synthetic_events", value=event, append=True) for event in SYNTHETIC]
    for place, triggers in ((TRACEFS, top), (INSTANCE, own)):
        for event, each in triggers.items():
            writes += [Write(path=f"{place}/events/{event}/trigger", value=one, append=True) for one in each]
    return tuple(writes)


def start_counting(device: Device) -> None:
    """Sets the counters up. They count from here on, whatever is captured.

    Raises:
        AdbError: the kernel refuses one of them.
    """
    device.run(["mkdir", "-p", INSTANCE])
    kallsyms = device.run(["cat", "/proc/kallsyms"], timeout=120).text
    device.write_files(plan_counters(kallsyms), timeout=300)


def read_counts(device: Device) -> KernelCounts:
    """Reads the counters; they go on counting."""
    top = [f"{TRACEFS}/events/sched/sched_switch/hist"]
    top += [f"{INSTANCE}/events/synthetic/{event.split()[0]}/hist" for event in SYNTHETIC[1:]]
    own = [f"{INSTANCE}/events/{e}/hist" for e in ("witness/sys_madvise", "synthetic/witness_took", "witness/lock_vma")]
    profile = f"{TRACEFS}/kprobe_profile"
    all_hists = [*top, *own, f"{TRACEFS}/events/mmap_lock/mmap_lock_start_locking/hist",
                 f"{TRACEFS}/events/mmap_lock/mmap_lock_acquire_returned/hist",
                 f"{TRACEFS}/events/lock/contention_begin/hist"]  # fmt: skip
    texts = device.read_texts([*all_hists, profile], timeout=120)
    hists = {path: parse_histograms(texts[path] or "") for path in all_hists}
    switches, waits, holds, slept = (hists[path][0] for path in top)
    calls, took, lookups = hists[own[0]][0], hists[own[1]][0], hists[own[2]]
    missed = sum(int(line.split()[2]) for line in (texts[profile] or "").splitlines())
    missed += sum(int(n) for path in all_hists for n in re.findall(r"Dropped: (\d+)", texts[path] or ""))
    found, lost = (
        {int(b.keys["common_pid"]): b.hits for b in rows if _symbol(b.keys["__probe_ret_ip"]).startswith("madvise")}
        for rows in lookups
    )
    walked: dict[tuple[int, str], int] = {}
    by_call: dict[tuple[int, int], int] = {}
    for b in took:
        tid, advice, name = int(b.keys["pid"]), int(b.keys["behavior"]), _symbol(b.keys["caller"])
        walked[tid, name] = walked.get((tid, name), 0) + b.hits
        by_call[tid, advice] = by_call.get((tid, advice), 0) + b.hits
    return KernelCounts(
        calls={(int(b.keys["common_pid"]), int(b.keys["behavior"])): b.hits for b in calls},
        took=by_call,
        walked=walked,
        vma_found=found,
        vma_missed=lost,
        waits={_lock_key(b): (b.hits, b.sums["ns"]) for b in waits},
        holds={_lock_key(b): (b.hits, b.sums["ns"]) for b in holds},
        slept={(int(b.keys["pid"]), int(b.keys["lock"], 16)): (b.hits, b.sums["ns"]) for b in slept},
        switches={int(b.keys["next_pid"]): b.hits for b in switches},
        missed=missed,
    )


def parse_histograms(text: str) -> Sequence[Sequence[Bucket]]:
    """The histograms of a ``hist`` file, in the order of their triggers' listing.

    Raises:
        ValueError: a row that is not one.
    """
    return [list(_parse_rows(part)) for part in text.split("# event histogram\n")[1:]]


def _parse_rows(text: str) -> Iterator[Bucket]:
    for line in text.splitlines():
        if not line.startswith("{"):
            continue
        row = _ENTRY.match(line)
        if row is None:
            raise ValueError(f"no row of a histogram: {line!r}")
        keys = dict(part.split(":", 1) for part in row["keys"].split(", "))
        sums = {name: int(value) for name, value in re.findall(r"(\w+): +(\d+)", row["values"])}
        yield Bucket(keys={k.strip(): v.strip() for k, v in keys.items()}, hits=int(row["hits"]), sums=sums)


def _symbol(text: str) -> str:
    """``[ffff800080123456] madvise_lock`` to the name."""
    return text.rpartition("] ")[2].strip()


def _lock_key(b: Bucket) -> tuple[int, int, bool]:
    return int(b.keys["pid"]), int(b.keys["mm"], 16), b.keys["write"] not in ("0", "false")
