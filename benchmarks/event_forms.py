"""The events of the generated captures: records as numpy dtypes, and the format files that describe them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_COMMON = (
    ("unsigned short common_type", "u2"), ("unsigned char common_flags", "u1"),
    ("unsigned char common_preempt_count", "u1"), ("int common_pid", "i4"),
)  # fmt: skip
_SIGNED = {"int", "long", "pid_t"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One kind of event.

    Attributes:
        system: trace system.
        name: name of the event.
        number: its id in the pages.
        fields: C declaration and numpy type of each own field; a text without a length is the last field.
        print_fmt: the kernel's print format.
    """

    system: str
    name: str
    number: int
    fields: tuple[tuple[str, str], ...]
    print_fmt: str

    @property
    def record(self) -> np.dtype[np.void]:
        """The record with C's alignment; field names are those of the declarations."""
        return np.dtype([(_name(decl), kind) for decl, kind in (*_COMMON, *self.fields)], align=True)

    @property
    def text_field(self) -> str | None:
        """The text of any length at the record's end, if it has one."""
        decl = self.fields[-1][0]
        return _name(decl) if decl.endswith("[]") else None

    def render(self) -> str:
        """The format file, as tracefs has it."""
        lines = [self._line(decl) for decl, _ in _COMMON] + [""] + [self._line(decl) for decl, _ in self.fields]
        return (
            f"name: {self.name}\nID: {self.number}\nformat:\n" + "\n".join(lines) + f"\n\nprint fmt: {self.print_fmt}\n"
        )

    def _line(self, decl: str) -> str:
        dtype, offset = self.record.fields[_name(decl)][:2]  # type: ignore[index]
        size = 0 if decl.endswith("[]") else dtype.itemsize
        signed = int(decl.split()[0] in _SIGNED)
        return f"\tfield:{decl};\toffset:{offset};\tsize:{size};\tsigned:{signed};"


def _name(decl: str) -> str:
    return decl.split()[-1].partition("[")[0]


# Which state has which bit, and the highest one: the task was preempted.
_STATES = ", ".join(f'{{ {1 << i:#010x}, "{letter}" }}' for i, letter in enumerate("SDTtXZPI"))
_KNOWN = "(((" + " | ".join(f"{bit:#010x}" for bit in (0, *(1 << i for i in range(7)))) + ") + 1) << 1)"
_MM = (("struct mm_struct *mm", "u8"), ("u64 memcg_id", "u8"), ("bool write", "u1"))
_MM_FMT = "mm=%p memcg_id=%llu write=%s"
_MM_ARGS = 'REC->mm, REC->memcg_id, REC->write ? "true" : "false"'
_CONTENTION_FLAGS = ", ".join(
    f'{{ (1U << {bit}), "{name}" }}' for bit, name in enumerate(("SPIN", "READ", "WRITE", "RT", "PERCPU", "MUTEX"))
)


def _enter(number: int, call: str, *arguments: str) -> Form:
    fields = tuple((f"unsigned long {name}", "u8") for name in arguments)
    shown = ", ".join(f"{name}: 0x%08lx" for name in arguments)
    values = ", ".join(f"((unsigned long)(REC->{name}))" for name in arguments)
    return Form(
        system="syscalls", name=f"sys_enter_{call}", number=number,
        fields=(("int __syscall_nr", "i4"), *fields), print_fmt=f'"{shown}", {values}',
    )  # fmt: skip


def _exit(number: int, call: str) -> Form:
    return Form(
        system="syscalls", name=f"sys_exit_{call}", number=number,
        fields=(("int __syscall_nr", "i4"), ("long ret", "i8")), print_fmt='"0x%lx", REC->ret',
    )  # fmt: skip


FORMS = {
    form.name: form
    for form in (
        Form(
            system="ftrace", name="print", number=5, fields=(("unsigned long ip", "u8"), ("char buf[]", "S64")),
            print_fmt='"%ps: %s", (void *)REC->ip, REC->buf',
        ),
        Form(
            system="sched", name="sched_switch", number=316,
            fields=(
                ("char prev_comm[16]", "S16"), ("pid_t prev_pid", "i4"), ("int prev_prio", "i4"), ("long prev_state", "i8"),
                ("char next_comm[16]", "S16"), ("pid_t next_pid", "i4"), ("int next_prio", "i4"),
            ),
            print_fmt=(
                '"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> next_comm=%s next_pid=%d next_prio=%d", '
                f"REC->prev_comm, REC->prev_pid, REC->prev_prio, (REC->prev_state & ({_KNOWN} - 1)) ? "
                f'__print_flags(REC->prev_state & ({_KNOWN} - 1), "|", {_STATES}) : "R", '
                f'REC->prev_state & {_KNOWN} ? "+" : "", REC->next_comm, REC->next_pid, REC->next_prio'
            ),
        ),
        Form(
            system="sched", name="sched_waking", number=318,
            fields=(("char comm[16]", "S16"), ("pid_t pid", "i4"), ("int prio", "i4"), ("int target_cpu", "i4")),
            print_fmt='"comm=%s pid=%d prio=%d target_cpu=%03d", REC->comm, REC->pid, REC->prio, REC->target_cpu',
        ),
        Form(
            system="mmap_lock", name="mmap_lock_start_locking", number=557, fields=_MM,
            print_fmt=f'"{_MM_FMT}", {_MM_ARGS}',
        ),
        Form(
            system="mmap_lock", name="mmap_lock_acquire_returned", number=556, fields=(*_MM, ("bool success", "u1")),
            print_fmt=f'"{_MM_FMT} success=%s", {_MM_ARGS}, REC->success ? "true" : "false"',
        ),
        Form(
            system="mmap_lock", name="mmap_lock_released", number=555, fields=_MM, print_fmt=f'"{_MM_FMT}", {_MM_ARGS}',
        ),
        Form(
            system="lock", name="contention_begin", number=288,
            fields=(("void *lock_addr", "u8"), ("unsigned int flags", "u4")),
            print_fmt=f'"%p (flags=%s)", REC->lock_addr, __print_flags(REC->flags, "|", {_CONTENTION_FLAGS})',
        ),
        Form(
            system="lock", name="contention_end", number=287, fields=(("void *lock_addr", "u8"), ("int ret", "i4")),
            print_fmt='"%p (ret=%d)", REC->lock_addr, REC->ret',
        ),
        _enter(610, "madvise", "start", "len_in", "behavior"), _exit(609, "madvise"),
        _enter(612, "mmap", "addr", "len", "prot", "flags", "fd", "off"), _exit(611, "mmap"),
        _enter(614, "munmap", "addr", "len"), _exit(613, "munmap"),
    )
}  # fmt: skip
