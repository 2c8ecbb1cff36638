"""The phone's tracefs: settings that behave as the kernel's do, and ring buffers of pages that the tests' writer makes.

A GKI kernel traces system calls by raw_syscalls only. Trace time is CLOCK_MONOTONIC of this machine.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Mapping

from tests.scripted_phone.fuse import File, Folder, text
from tests.simulator.kernel_events import KernelEvent, encode_records, list_forms
from tests.simulator.recording import Recording
from tests.trace.pages import PageWriter, header_page_text, make_layout

CPUS = 2
_AS_RECORDED = Recording(format="raw", all_calls=True)
_HIDDEN = ("syscalls", "exceptions")  # what an arm64 GKI kernel lacks
_CLOCKS = ("local", "global", "counter", "uptime", "perf", "mono", "mono_raw", "boot")
_OPTIONS = {"record-cmd": "1", "record-tgid": "0", "markers": "1", "overwrite": "1", "irq-info": "1"}
_HEADER_EVENT = (
    "# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 bits\n\tarray       :   32 bits\n"
)


class Tracefs:
    """State and tree. ``caller`` gives the number of the process that writes."""

    def __init__(self, caller: Callable[[], int]) -> None:
        self._caller = caller
        self._lock = threading.Lock()
        self._layout = make_layout()
        self._writers: dict[int, PageWriter] = {}
        self._ready: dict[int, bytearray] = {cpu: bytearray() for cpu in range(CPUS)}
        self.values: dict[str, str] = {
            "tracing_on": "1",
            "current_tracer": "nop",
            "trace_clock": "boot",
            "buffer_size_kb": "7 (expanded: 1408)",
            "saved_cmdlines_size": "128",
            "set_event_pid": "",
            "set_event_notrace_pid": "",
            **{f"options/{name}": value for name, value in _OPTIONS.items()},
        }
        self.enabled: list[str] = []
        self.filters: dict[str, str] = {}
        self.comms: dict[int, tuple[int, str]] = {}  # tid -> process and name
        self.forms = {
            f"{form.system}:{form.name}": form
            for form in list_forms(_AS_RECORDED).values()
            if form.system not in _HIDDEN
        }
        self.tree = self._grow()

    def settings(self) -> Mapping[str, object]:
        """All that a recording may change, for comparison."""
        return {
            **self.values,
            "set_event": sorted(self.enabled),
            "filters": {k: v for k, v in self.filters.items() if v},
        }

    def emit(self, name: str, *values: object, pid: int, cpu: int = 0, ts: int | None = None) -> None:
        """An event happens; it is recorded if the settings say so.

        Args:
            name: ``system:name``, or ``ftrace:print``.
            values: of the event's own fields.
            pid: the thread.
            cpu: where.
            ts: when, CLOCK_MONOTONIC in ns; None for now.
        """
        with self._lock:
            if self.values["tracing_on"] != "1" or (name != "ftrace:print" and name not in self.enabled):
                return
            event = KernelEvent(ts or time.monotonic_ns(), cpu, pid, name.partition(":")[2], values)
            writer = self._writers.setdefault(cpu, PageWriter(self._layout))
            writer.add(event.ts, encode_records([event], _AS_RECORDED)[0])

    def _drain(self, cpu: int, size: int) -> bytes:
        with self._lock:
            if (writer := self._writers.pop(cpu, None)) is not None:
                self._ready[cpu] += writer.finish()
            ready = self._ready[cpu]
            if not ready:
                raise OSError(errno.EAGAIN, "empty")
            page = bytes(ready[: self._layout.page_bytes])
            del ready[: self._layout.page_bytes]
            return page[:size]

    def _empty(self) -> None:
        with self._lock:
            self._writers.clear()
            for ready in self._ready.values():
                ready.clear()

    def _grow(self) -> Folder:
        root = Folder()
        for name in self.values:
            root.put(name, self._setting(name))
        shown = [name for name in self.forms if not name.startswith("ftrace:")]
        root.put("available_events", text("\n".join(shown)))
        root.put("README", text("tracing mini-HOWTO:\n\n  trigger: hist:keys=<field1[,field2,...]>"))
        root.put("printk_formats", text(""))
        root.put("saved_cmdlines", text(lambda: "\n".join(f"{tid} {comm}" for tid, (_, comm) in self.comms.items())))
        root.put("saved_tgids", text(lambda: "\n".join(f"{tid} {tgid}" for tid, (tgid, _) in self.comms.items())))
        root.put("trace", File(read=lambda: b"# tracer: nop\n", write=lambda _: None, truncated=self._empty))
        root.put("trace_marker", File(write=self._mark, mode=0o222))
        root.put(
            "set_event",
            File(read=self._read_set_event, write=self._write_set_event, truncated=self.enabled.clear, mode=0o640),
        )
        root.put("kprobe_events", File(write=self._refuse_probe, mode=0o640))
        root.put("synthetic_events", File(write=self._refuse_probe, mode=0o640))
        root.put("events/header_page", text(header_page_text(self._layout).rstrip("\n")))
        root.put("events/header_event", text(_HEADER_EVENT.rstrip("\n")))
        for full, form in self.forms.items():
            system, _, name = full.partition(":")
            root.put(f"events/{system}/{name}/format", text(form.render().rstrip("\n")))
            if system != "ftrace":
                root.put(f"events/{system}/{name}/id", text(str(form.number)))
                root.put(f"events/{system}/{name}/enable", self._enable(full))
                root.put(f"events/{system}/{name}/filter", self._filter(full))
        for cpu in range(CPUS):
            root.put(f"per_cpu/cpu{cpu}/trace_pipe_raw", self._pipe(cpu))
            root.put(f"per_cpu/cpu{cpu}/stats", text("entries: 0\noverrun: 0\ncommit overrun: 0\ndropped events: 0"))
        return root

    def _pipe(self, cpu: int) -> File:
        return File(flow=lambda size: self._drain(cpu, size), mode=0o440)

    def _setting(self, name: str) -> File:
        def read() -> bytes:
            value = self.values[name]
            if name == "trace_clock":
                value = " ".join(f"[{clock}]" if clock == value else clock for clock in _CLOCKS)
            return f"{value}\n".encode() if value else b""

        def write(data: bytes) -> None:
            value = data.decode(errors="replace").strip()
            if name == "trace_clock":
                if value not in _CLOCKS:
                    raise OSError(errno.EINVAL, "no such clock")
                if value != self.values[name]:
                    self._empty()
            elif name == "current_tracer" and value not in ("nop", "function"):
                raise OSError(errno.EINVAL, "no such tracer")
            elif (name == "tracing_on" or name.startswith("options/")) and value not in ("0", "1"):
                raise OSError(errno.EINVAL, "0 or 1")
            elif name.endswith(("_kb", "_size")) and not value.isdigit():
                raise OSError(errno.EINVAL, "a number")
            self.values[name] = value

        def truncated() -> None:
            if name.endswith("_pid"):
                self.values[name] = ""

        return File(read=read, write=write, truncated=truncated, mode=0o640)

    def _enable(self, event: str) -> File:
        def write(data: bytes) -> None:
            on = data.strip()
            if on not in (b"0", b"1"):
                raise OSError(errno.EINVAL, "0 or 1")
            if event in self.enabled:
                self.enabled.remove(event)
            if on == b"1":
                self.enabled.append(event)

        return File(read=lambda: b"1\n" if event in self.enabled else b"0\n", write=write, mode=0o640)

    def _filter(self, event: str) -> File:
        def write(data: bytes) -> None:
            value = data.decode(errors="replace").strip()
            self.filters[event] = "" if value == "0" else value

        return File(read=lambda: (self.filters.get(event) or "none").encode() + b"\n", write=write, mode=0o640)

    def _read_set_event(self) -> bytes:
        return "".join(f"{name}\n" for name in self.enabled).encode()

    def _write_set_event(self, data: bytes) -> None:
        for name in data.decode(errors="replace").split():
            if name not in self.forms:
                raise OSError(errno.EINVAL, "no such event")
            if name not in self.enabled:
                self.enabled.append(name)

    def _refuse_probe(self, data: bytes) -> None:
        if data.strip():
            raise OSError(errno.ENOENT, "no such symbol")

    def _mark(self, data: bytes) -> None:
        if self.values["tracing_on"] != "1":
            raise OSError(errno.EBADF, "tracing is off")
        self.emit("ftrace:print", 0x1234, data.decode(errors="replace"), pid=self._caller())
