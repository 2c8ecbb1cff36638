"""Small raw captures and trace.dat files for tests: known formats, any events, every container."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from android_suite.trace.core.event_format import EventFormat, PageLayout, parse_event_format
from tests.trace.pages import header_page_text

_COMMON = """\
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;
"""
_STATE_FMT = (
    '"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> next_comm=%s next_pid=%d next_prio=%d", REC->prev_comm, '
    "REC->prev_pid, REC->prev_prio, (REC->prev_state & ((((0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | "
    "0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) - 1)) ? __print_flags(REC->prev_state & ((((0x00000000 | 0x00000001 | "
    "0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) - 1), "
    '"|", { 0x00000001, "S" }, { 0x00000002, "D" }, { 0x00000004, "T" }, { 0x00000008, "t" }, { 0x00000010, "X" }, '
    '{ 0x00000020, "Z" }, { 0x00000040, "P" }, { 0x00000080, "I" }) : "R", REC->prev_state & (((0x00000000 | 0x00000001 | '
    '0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) ? "+" : "", '
    "REC->next_comm, REC->next_pid, REC->next_prio"
)

# system, event, id, fields (declaration, offset, size, signed), print format
_EVENTS: tuple[tuple[str, str, int, tuple[tuple[str, int, int, int], ...], str], ...] = (
    ("ftrace", "print", 5, (("unsigned long ip", 8, 8, 0), ("char buf[]", 16, 0, 0)), '"%ps: %s", (void *)REC->ip, REC->buf'),
    (
        "sched", "sched_switch", 250,
        (
            ("char prev_comm[16]", 8, 16, 0), ("pid_t prev_pid", 24, 4, 1), ("int prev_prio", 28, 4, 1),
            ("long prev_state", 32, 8, 1), ("char next_comm[16]", 40, 16, 0), ("pid_t next_pid", 56, 4, 1),
            ("int next_prio", 60, 4, 1),
        ),
        _STATE_FMT,
    ),
    (
        "sched", "sched_wakeup", 252,
        (
            ("char comm[16]", 8, 16, 0), ("pid_t pid", 24, 4, 1), ("int prio", 28, 4, 1), ("int success", 32, 4, 1),
            ("int target_cpu", 36, 4, 1),
        ),
        '"comm=%s pid=%d prio=%d success=%d target_cpu=%03d", REC->comm, REC->pid, REC->prio, REC->success, REC->target_cpu',
    ),
    (
        "sched", "sched_waking", 253,
        (
            ("char comm[16]", 8, 16, 0), ("pid_t pid", 24, 4, 1), ("int prio", 28, 4, 1), ("int target_cpu", 32, 4, 1),
        ),
        '"comm=%s pid=%d prio=%d target_cpu=%03d", REC->comm, REC->pid, REC->prio, REC->target_cpu',
    ),
    (
        "mmap_lock", "mmap_lock_start_locking", 557,
        (("struct mm_struct * mm", 8, 8, 0), ("u64 memcg_id", 16, 8, 0), ("bool write", 24, 1, 0)),
        '"mm=%p memcg_id=%llu write=%s", REC->mm, REC->memcg_id, REC->write ? "true" : "false"',
    ),
    (
        "mmap_lock", "mmap_lock_acquire_returned", 556,
        (
            ("struct mm_struct * mm", 8, 8, 0), ("__data_loc char[] memcg_path", 16, 4, 0), ("bool write", 20, 1, 0),
            ("bool success", 21, 1, 0),
        ),
        ('"mm=%p memcg_path=%s write=%s success=%s", REC->mm, __get_str(memcg_path), REC->write ? "true" : "false", '
        'REC->success ? "true" : "false"'),
    ),
    (
        "mmap_lock", "mmap_lock_released", 558,
        (("struct mm_struct * mm", 8, 8, 0), ("u64 memcg_id", 16, 8, 0), ("bool write", 24, 1, 0)),
        '"mm=%p memcg_id=%llu write=%s", REC->mm, REC->memcg_id, REC->write ? "true" : "false"',
    ),
    (
        "lock", "contention_begin", 288, (("void * lock_addr", 8, 8, 0), ("unsigned int flags", 16, 4, 0)),
        ('"%p (flags=%s)", REC->lock_addr, __print_flags(REC->flags, "|", { (1U << 0), "SPIN" }, { (1U << 1), "READ" }, '
        '{ (1U << 2), "WRITE" }, { (1U << 3), "RT" }, { (1U << 4), "PERCPU" }, { (1U << 5), "MUTEX" } )'),
    ),
    (
        "lock", "contention_end", 287, (("void * lock_addr", 8, 8, 0), ("int ret", 16, 4, 1)),
        '"%p (ret=%d)", REC->lock_addr, REC->ret',
    ),
    ("lock", "contended_release", 286, (("void * lock_addr", 8, 8, 0),), '"%p", REC->lock_addr'),
    (
        "binder", "binder_transaction", 760,
        (
            ("int debug_id", 8, 4, 1), ("int target_node", 12, 4, 1), ("int to_proc", 16, 4, 1), ("int to_thread", 20, 4, 1),
            ("int reply", 24, 4, 1), ("unsigned int code", 28, 4, 0), ("unsigned int flags", 32, 4, 0),
        ),
        ('"transaction=%d dest_node=%d dest_proc=%d dest_thread=%d reply=%d flags=0x%x code=0x%x", REC->debug_id, '
        "REC->target_node, REC->to_proc, REC->to_thread, REC->reply, REC->flags, REC->code"),
    ),
    (
        "binder", "binder_transaction_received", 761, (("int debug_id", 8, 4, 1),), '"transaction=%d", REC->debug_id',
    ),
    (
        "raw_syscalls", "sys_enter", 400, (("long id", 8, 8, 1), ("unsigned long args[6]", 16, 48, 0)),
        ('"NR %ld (%lx, %lx, %lx, %lx, %lx, %lx)", REC->id, REC->args[0], REC->args[1], REC->args[2], REC->args[3], '
        "REC->args[4], REC->args[5]"),
    ),
    ("raw_syscalls", "sys_exit", 401, (("long id", 8, 8, 1), ("long ret", 16, 8, 1)), '"NR %ld = %ld", REC->id, REC->ret'),
    (
        "syscalls", "sys_enter_madvise", 608,
        (
            ("int __syscall_nr", 8, 4, 1), ("unsigned long start", 16, 8, 0), ("size_t len_in", 24, 8, 0),
            ("int behavior", 32, 8, 0),
        ),
        ('"start: 0x%08lx, len_in: 0x%08lx, behavior: 0x%08lx", ((unsigned long)(REC->start)), '
        "((unsigned long)(REC->len_in)), ((unsigned long)(REC->behavior))"),
    ),
    (
        "syscalls", "sys_exit_madvise", 607, (("int __syscall_nr", 8, 4, 1), ("long ret", 16, 8, 1)), '"0x%lx", REC->ret',
    ),
    (
        "task", "task_newtask", 700,
        (
            ("pid_t pid", 8, 4, 1), ("char comm[16]", 12, 16, 0), ("unsigned long clone_flags", 32, 8, 0),
            ("short oom_score_adj", 40, 2, 1),
        ),
        '"pid=%d comm=%s clone_flags=%lx oom_score_adj=%hd", REC->pid, REC->comm, REC->clone_flags, REC->oom_score_adj',
    ),
    (
        "task", "task_rename", 701, (("char oldcomm[16]", 8, 16, 0), ("char newcomm[16]", 24, 16, 0)),
        '"oldcomm=%s newcomm=%s", REC->oldcomm, REC->newcomm',
    ),
    (
        "sched", "sched_process_exec", 702,
        (("__rel_loc char[] filename", 8, 4, 0), ("pid_t pid", 12, 4, 1), ("pid_t old_pid", 16, 4, 1)),
        '"filename=%s pid=%d old_pid=%d", __get_rel_str(filename), REC->pid, REC->old_pid',
    ),
    (
        "sched", "sched_pi_setprio", 703,
        (("char comm[16]", 8, 16, 0), ("pid_t pid", 24, 4, 1), ("int oldprio", 28, 4, 1), ("int newprio", 32, 4, 1)),
        '"comm=%s pid=%d oldprio=%d newprio=%d", REC->comm, REC->pid, REC->oldprio, REC->newprio',
    ),
    (
        "sched", "sched_blocked_reason", 704,
        (("pid_t pid", 8, 4, 1), ("void* caller", 16, 8, 0), ("bool io_wait", 24, 1, 0)),
        '"pid=%d iowait=%d caller=%pS", REC->pid, REC->io_wait, REC->caller',
    ),
    (
        "exceptions", "page_fault_user", 705,
        (("unsigned long address", 8, 8, 0), ("unsigned long ip", 16, 8, 0), ("unsigned long error_code", 24, 8, 0)),
        '"address=%ps ip=%ps error_code=0x%lx", (void *)REC->address, (void *)REC->ip, REC->error_code',
    ),
)  # fmt: skip


def _format_text(name: str, number: int, fields: Sequence[tuple[str, int, int, int]], print_fmt: str) -> str:
    own = "".join(
        f"\tfield:{decl};\toffset:{at};\tsize:{size};\tsigned:{signed};\n" for decl, at, size, signed in fields
    )
    return f"name: {name}\nID: {number}\nformat:\n{_COMMON}\n{own}\nprint fmt: {print_fmt}\n"


FORMATS: Mapping[str, EventFormat] = {
    name: parse_event_format(_format_text(name, number, fields, fmt), system=system, file=f"{system}/{name}")
    for system, name, number, fields, fmt in _EVENTS
}


def make_record(name: str, pid: int, /, *, big_endian: bool = False, **values: Any) -> bytes:
    """The bytes of one event; fields that are not given are 0. Texts of dynamic fields go behind the record."""
    form, order = FORMATS[name], "big" if big_endian else "little"
    out = bytearray(form.record_bytes)
    tail = b""
    values = {"common_type": form.id, "common_pid": pid, **values}
    for field in form.fields:
        value = values.pop(field.name, 0)
        if field.location != "here":
            data = (value or "").encode() + b"\0"
            start = len(out) + len(tail) - (field.offset + field.size if field.location == "rel_loc" else 0)
            tail += data
            value = len(data) << 16 | start
        if isinstance(value, str):
            data = value.encode() + (b"\0" if field.size == 0 else b"")
            if field.size == 0:
                tail += data
            else:
                out[field.offset : field.offset + field.size] = data[: field.size].ljust(field.size, b"\0")
        elif isinstance(value, tuple):
            packed = b"".join(v.to_bytes(field.element_bytes, order) for v in value)
            out[field.offset : field.offset + field.size] = packed
        elif field.size:
            out[field.offset : field.offset + field.size] = (value & (1 << 8 * field.size) - 1).to_bytes(
                field.size, order
            )
    assert not values, f"{name} has no {sorted(values)}"
    return bytes(out) + tail


def write_capture(
    folder: Path, layout: PageLayout, cpus: Mapping[int, bytes], *, stats: Mapping[int, str] | None = None,
    files: Mapping[str, str] | None = None, meta: Mapping[str, Any] | None = None,
    formats: Collection[str] | None = None,
    known: Mapping[str, EventFormat] = FORMATS,
) -> Path:  # fmt: skip
    """A raw capture in ``folder``: pages of each CPU, the formats of those names (None: all), and whatever else is given."""
    place = folder / "ftrace"
    for form in map(known.__getitem__, formats or known):
        path = place / "formats" / form.system / form.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(form.text)
    for cpu, data in cpus.items():
        (place / f"cpu{cpu}.raw").write_bytes(data)
    (place / "header_page").write_text(header_page_text(layout))
    (place / "header_event").write_text("# compressed entry header\n")
    (place / "stats").mkdir(exist_ok=True)
    for cpu in cpus:
        text = (stats or {}).get(cpu, "entries: 0\noverrun: 0\ncommit overrun: 0\ndropped events: 0\n")
        (place / "stats" / f"cpu{cpu}.txt").write_text(text)
    about = {
        "page_size": layout.page_bytes, "clock": "mono", "long_size": layout.commit_bytes,
        "endian": "big" if layout.big_endian else "little", "kernel": "6.17.0-test", "machine": "aarch64", **(meta or {}),
    }  # fmt: skip
    (place / "meta.json").write_text(json.dumps(about))
    for name, text in (files or {}).items():
        (place / name).write_text(text)
    return folder


@dataclass(frozen=True, kw_only=True)
class DatBuffer:
    """One trace instance of a trace.dat."""

    name: str = ""
    clock: str = "mono"
    cpus: Mapping[int, bytes]


def make_dat_v7(
    layout: PageLayout, buffers: Sequence[DatBuffer], *, compression: str = "none", chunk_pages: int = 2,
    options: Sequence[tuple[int, bytes]] = (), cmdlines: str = "", formats: Collection[str] | None = None,
    known: Mapping[str, EventFormat] = FORMATS,
    spoil: Callable[[bytes], bytes] = bytes,
) -> bytes:  # fmt: skip
    """A trace.dat version 7, written from its manual page; ``spoil`` changes what is packed before it is."""
    order = ">" if layout.big_endian else "<"
    out = bytearray(b"\x17\x08\x44tracing7\0" + bytes([layout.big_endian, layout.commit_bytes]))
    out += struct.pack(order + "I", layout.page_bytes) + compression.encode() + b"\0" + b"1\0"
    options_at = len(out)
    out += bytes(8)
    listed: list[tuple[int, bytes]] = []

    def pack(data: bytes) -> bytes:
        return zlib.compress(data) if compression == "zlib" else zstandard.ZstdCompressor().compress(data)

    def section(number: int, data: bytes) -> int:
        at = len(out)
        packed = compression != "none"
        if packed:
            data = spoil(data)
            squeezed = pack(data)
            data = struct.pack(order + "II", len(squeezed), len(data)) + squeezed
        out.extend(struct.pack(order + "HHIQ", number, int(packed), 0, len(data)) + data)
        return at

    def block(data: bytes, size: str = "Q") -> bytes:
        return struct.pack(order + size, len(data)) + data

    info = b"header_page\0" + block(header_page_text(layout).encode()) + b"header_event\0" + block(b"")
    systems: dict[str, list[EventFormat]] = {}
    for form in map(known.__getitem__, formats or known):
        systems.setdefault(form.system, []).append(form)
    own = systems.pop("ftrace", [])
    ftrace = struct.pack(order + "I", len(own)) + b"".join(block(f.text.encode()) for f in own)
    rest = struct.pack(order + "I", len(systems)) + b"".join(
        name.encode() + b"\0" + struct.pack(order + "I", len(forms)) + b"".join(block(f.text.encode()) for f in forms)
        for name, forms in systems.items()
    )
    for number, data in ((16, info), (17, ftrace), (18, rest), (21, block(cmdlines.encode()))):
        listed.append((number, struct.pack(order + "Q", section(number, data))))
    for buffer in buffers:
        places = []
        for cpu, data in buffer.cpus.items():
            out += bytes(-len(out) % layout.page_bytes)
            at = len(out)
            step = chunk_pages * layout.page_bytes
            chunks = [spoil(data[i : i + step]) for i in range(0, len(data), step)]
            if compression == "none":
                out += data
                places.append((cpu, at, len(data)))
                continue
            body = b"".join(struct.pack(order + "II", len(p := pack(c)), len(c)) + p for c in chunks)
            out += struct.pack(order + "I", len(chunks)) + body
            places.append((cpu, at, len(body)))
        listed.append(
            (3, struct.pack(order + "Q", 0) + buffer.name.encode() + b"\0" + buffer.clock.encode() + b"\0"
             + struct.pack(order + "II", layout.page_bytes, len(places))
             + b"".join(struct.pack(order + "IQQ", *place) for place in places))
        )  # fmt: skip
    listed += options
    body = b"".join(struct.pack(order + "HI", number, len(data)) + data for number, data in listed)
    at = section(0, body + struct.pack(order + "HIQ", 0, 8, 0))
    out[options_at : options_at + 8] = struct.pack(order + "Q", at)
    return bytes(out)
