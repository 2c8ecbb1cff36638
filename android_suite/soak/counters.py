"""The counters of a soak on a device: installs, finds, reads and removes them."""

from __future__ import annotations

import json
import re
import secrets
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from android_suite.device.device import BOOT_ID, TRACEFS_PLACES, WORK_FOLDER, Device
from android_suite.device.files import Write
from android_suite.device.numbers import read_count
from android_suite.errors import LabError
from android_suite.soak.hist_text import TableText, parse_hist
from android_suite.soak.plan import GROUP, INSTANCE, RING, SoakFacts, SoakPlan, Trigger

MARK: Final = f"{WORK_FOLDER}/soak.json"  # who counts on this device
_VMSTAT = "/proc/vmstat"
_MEMINFO = "/proc/meminfo"
_UPTIME = "/proc/uptime"
_SYSTEM = ("pgfault", "pgmajfault", "vma_lock_success", "vma_lock_abort", "vma_lock_retry", "vma_lock_miss")
_RING_KB = 1024
_READ_TIMEOUT_S = 120.0
_INSTALL_TIMEOUT_S = 300.0  # each trigger waits for all CPUs; tables of many entries take a moment
_TRIGGERED = (  # every event that any plan has triggers on
    "synthetic/*",
    f"{GROUP}/*",
    "lock/*",
    "mmap_lock/*",
    "sched/sched_switch",
    "syscalls/sys_*madvise",
)
_FILES = ("synthetic_events", "kprobe_events", "dynamic_events")


def read_soak_facts(device: Device) -> SoakFacts:
    """What :func:`~android_suite.soak.plan.plan_soak` needs to know."""
    names = [f"{place}/{name}" for place in TRACEFS_PLACES for name in ("available_events", "README")]
    texts = device.read_texts(names)
    tracefs = next((place for place in TRACEFS_PLACES if texts[f"{place}/available_events"]), None)
    root = device.is_root()
    if tracefs is None or not root:
        return SoakFacts(tracefs=None, root=root)
    present = device.exists([f"{tracefs}/{name}" for name in _FILES])
    return SoakFacts(
        tracefs=tracefs,
        events=frozenset((texts[f"{tracefs}/available_events"] or "").split()),
        readme=texts[f"{tracefs}/README"] or "",
        files=frozenset(name.rpartition("/")[2] for name in present),
        machine=device.run(["uname", "-m"]).text.strip(),
        root=True,
    )


@dataclass(frozen=True, slots=True)
class Mark:
    """Who installed the counters: the soak, the boot, and a name of the installation."""

    soak: str
    boot: str
    install: str


def read_mark(device: Device) -> Mark | None:
    """The mark on the device; None if there is none that can be read."""
    text = device.read_text(MARK)
    try:
        told = json.loads(text or "")
        return Mark(str(told["soak"]), str(told["boot"]), str(told["install"]))
    except (ValueError, KeyError, TypeError):
        return None


class Refused(LabError):  # noqa: N818
    """The kernel refused a trigger or a definition. ``group`` names what cannot be counted then."""

    def __init__(self, group: str, message: str) -> None:
        self.group = group
        super().__init__(message)


def install(device: Device, plan: SoakPlan, *, soak: str, limit_ns: int | None) -> Mark:
    """Installs all counters; what an earlier soak left is removed first.

    Raises:
        Refused: the kernel refused something; nothing is left installed.
    """
    remove(device, plan.tracefs)
    mark = Mark(soak, device.boot_id(), secrets.token_hex(4))
    if plan.triggers:
        try:
            _install(device, plan, limit_ns)
        except Refused:
            remove(device, plan.tracefs)
            raise
        except BaseException:
            with suppress(LabError):
                remove(device, plan.tracefs)
            raise
    device.run(["mkdir", "-p", WORK_FOLDER])
    device.transport.push(json.dumps({"soak": soak, "boot": mark.boot, "install": mark.install}).encode(), MARK)
    return mark


def _install(device: Device, plan: SoakPlan, limit_ns: int | None) -> None:
    for name, line in plan.definitions:
        write = Write(path=f"{plan.tracefs}/{name}", value=line, append=True, optional=True)
        if device.write_files([write], timeout=_INSTALL_TIMEOUT_S):
            group = "vma" if "vma" in line else ("paths" if name == "kprobe_events" else "waits")
            raise Refused(group, f"{device.serial}: the kernel refused {line!r}{_read_reason(device, plan.tracefs)}.")
    device.run(["mkdir", plan.folder])
    writes = [Write(path=f"{plan.folder}/trace_clock", value="mono", optional=True)]
    writes += [
        Write(path=f"{plan.folder}/events/{t.folder}/trigger", value=t.spec, append=True, optional=True)
        for t in plan.triggers
    ]
    if refused := device.write_files(writes, timeout=_INSTALL_TIMEOUT_S):
        group = next((t.group for t in plan.triggers if t.spec == refused[0].value), "")
        reason = _read_reason(device, plan.folder)
        raise Refused(group, f"{device.serial}: the kernel refused {refused[0].value!r}{reason}.")
    if plan.ring_events and limit_ns is not None:
        device.run(["mkdir", plan.ring])
        ring = [
            Write(path=f"{plan.ring}/trace_clock", value="mono", optional=True),
            Write(path=f"{plan.ring}/buffer_size_kb", value=str(_RING_KB), optional=True),
            Write(path=f"{plan.ring}/options/record-tgid", value="1", optional=True),
        ]
        ring += [
            Write(path=f"{plan.ring}/events/{event.replace(':', '/')}/enable", value="1", optional=True)
            for event in plan.ring_events
        ]
        ring += [
            Write(
                path=f"{plan.ring}/events/synthetic/{name}/trigger",
                value=f"traceoff if lat > {limit_ns}",
                append=True,
                optional=True,
            )
            for name in plan.outlier_events
        ]
        device.write_files(ring, timeout=_INSTALL_TIMEOUT_S)


def _read_reason(device: Device, folder: str) -> str:
    lines = (device.read_text(f"{folder}/error_log") or "").splitlines()
    told = [line.partition("error:")[2].strip() for line in lines if "error:" in line]
    return f" ({told[-1]})" if told else ""


def remove(device: Device, tracefs: str) -> None:
    """Removes both instances, the probes and the synthetic events of every soak, and the mark.

    Raises:
        LabError: something is still there.
    """
    if tracefs:
        triggers = " ".join(f"$i/events/{place}/trigger" for place in _TRIGGERED)
        # a trigger can be removed only when no other refers to its variables: last installed, first removed
        script = f"""
cd {tracefs} || exit 1
for i in instances/{RING} instances/{INSTANCE}; do
  if [ ! -d $i ]; then continue; fi
  echo 0 > $i/events/enable
  for pass in 1 2 3 4; do
    for f in {triggers}; do
      if [ ! -e $f ]; then continue; fi
      while IFS= read -r l; do
        case $l in
          hist:*) echo "!${{l% \\[active\\]}}" > $f;;
          traceoff:unlimited*) echo "!traceoff${{l#traceoff:unlimited}}" > $f;;
        esac
      done < $f
    done
  done 2>/dev/null
  rmdir $i
done
grep '^{GROUP}_' synthetic_events 2>/dev/null | while IFS= read -r l; do echo "!$l" >> synthetic_events; done
for d in dynamic_events kprobe_events; do
  for e in $(grep -o '{GROUP}/[a-z_]*' $d 2>/dev/null | sort -u); do echo "-:$e" >> $d; done
done
ls -d instances/{INSTANCE} instances/{RING} 2>/dev/null
true
"""
        left = device.run(script, timeout=_INSTALL_TIMEOUT_S).text.split()
        if left:
            raise LabError(
                f"{device.serial}: {', '.join(left)} cannot be removed from tracefs; another program may read it. End "
                "that, then `android-suite soak clean`."
            )
    device.run(["rm", "-f", MARK])


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that one look at the device gives."""

    boot: str
    uptime_ns: int
    tables: Mapping[str, TableText]
    missing: tuple[str, ...]  # triggers that are not there any more
    system: Mapping[str, int]
    stopped: bool  # whether the ring buffer was stopped by an outlier


def read_counters(device: Device, plan: SoakPlan) -> Reading:
    """Reads all counters in one round trip."""
    by_event: dict[str, list[Trigger]] = {}
    for trigger in plan.triggers:
        by_event.setdefault(trigger.folder, []).append(trigger)
    hists = {event: f"{plan.folder}/events/{event}/hist" for event in by_event}
    ring = f"{plan.ring}/tracing_on"
    wanted = [BOOT_ID, _UPTIME, _VMSTAT, _MEMINFO, *hists.values(), *([ring] if plan.ring_events else [])]
    texts = device.read_texts(wanted, timeout=_READ_TIMEOUT_S)
    tables: dict[str, TableText] = {}
    missing: list[str] = []
    for event, triggers in by_event.items():
        text = texts[hists[event]] or ""
        tables |= parse_hist(text, triggers)
        heads = [line for line in text.splitlines() if line.startswith("# trigger info:")]
        missing += [t.spec for t in triggers if not any(t.is_printed_as(head) for head in heads)]
    return Reading(
        boot=(texts[BOOT_ID] or "").strip(),
        uptime_ns=round(float((texts[_UPTIME] or "0").split()[0]) * 1e9),
        tables=tables,
        missing=tuple(missing),
        system=_read_system(texts[_VMSTAT] or "", texts[_MEMINFO] or ""),
        stopped=bool(plan.ring_events) and (texts[ring] or "").strip() == "0",
    )


def _read_system(vmstat: str, meminfo: str) -> dict[str, int]:
    told = dict(line.split() for line in vmstat.splitlines() if len(line.split()) == 2)
    found = {name: number for name in _SYSTEM if (number := read_count(told.get(name, ""))) is not None}
    if slab := re.search(r"^SUnreclaim:\s+(\d{1,15})", meminfo, re.MULTILINE):
        found["kernel_slab_kb"] = int(slab[1])
    return found


def read_ring(device: Device, plan: SoakPlan) -> bytes:
    """The text of the stopped ring buffer, which is emptied and started again."""
    ring = shlex.quote(plan.ring)
    text = device.run(["cat", f"{plan.ring}/trace"], timeout=_READ_TIMEOUT_S).stdout
    device.run(f"echo > {ring}/trace; echo 1 > {ring}/tracing_on")
    return text


# After the name come the state and 18 numbers, then the start.
_STAT = re.compile(r"^/proc/(\d{1,9})/stat:\d+ \((.*)\) \S+(?: -?\d+){18} (\d{1,18})\b.*$")
_TGID = re.compile(r"^/proc/(\d{1,9})/status:Tgid:\s+(\d{1,9})\b")


def read_threads(device: Device, tids: list[int]) -> dict[int, tuple[int, int, str]]:
    """Process, start (clock ticks) and comm of each thread that lives."""
    found: dict[int, tuple[int, int, str]] = {}
    for at in range(0, len(tids), 200):
        part = tids[at : at + 200]
        stats = " ".join(f"/proc/{tid}/stat" for tid in part)
        statuses = " ".join(f"/proc/{tid}/status" for tid in part)
        text = device.run(f'grep -H "" {stats} 2>/dev/null; grep -H -E "^Tgid:" {statuses} 2>/dev/null; true').text
        starts = {int(m[1]): (int(m[3]), m[2]) for line in text.splitlines() if (m := _STAT.match(line))}
        for line in text.splitlines():
            if (told := _TGID.match(line)) and (tid := int(told[1])) in starts:
                start, comm = starts[tid]
                found[tid] = (int(told[2]), start, comm)
    return found


def read_process_names(device: Device, tgids: list[int]) -> dict[int, str]:
    """The name of each process: the first word of its command line."""
    found: dict[int, str] = {}
    for at in range(0, len(tgids), 200):
        part = " ".join(map(str, tgids[at : at + 200]))
        script = f"for p in {part}; do echo \"=$p $(tr '\\000' ' ' < /proc/$p/cmdline)\"; done 2>/dev/null; true"
        for line in device.run(script).text.splitlines():
            if (
                line.startswith("=")
                and (words := line[1:].split())
                and len(words) > 1
                and (tgid := read_count(words[0])) is not None
            ):
                found[tgid] = words[1].rpartition("/")[2] if words[1].startswith("/") else words[1]
    return found
