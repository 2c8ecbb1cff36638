"""Prints the text of an event in a report line, by its print format or like trace-cmd's plugins and built-in printers."""

from __future__ import annotations

from collections.abc import Callable

from android_suite.trace.core.event_format import EventFormat
from android_suite.trace.render.bprint import render_bprint
from android_suite.trace.render.print_fmt import Record, parse_print_fmt
from android_suite.trace.ring.ring_trace import RingBufferTrace

Render = Callable[[Record], str]

_PLUGIN_STATES = "SDTtZXxW"  # trace-cmd's plugin knows only these bits, whatever they mean in the kernel


def choose_render(form: EventFormat, opened: RingBufferTrace, *, plugins: bool) -> Render:
    """Returns the function that prints a record (field name to value) of ``form``.

    Args:
        form: the kind of event.
        opened: gives symbols and the format strings of trace_printk.
        plugins: print sched events in the short form of trace-cmd's plugin.
    """
    if plugins and form.full_name == "sched:sched_switch":
        return render_switch
    if plugins and form.full_name in ("sched:sched_wakeup", "sched:sched_wakeup_new"):
        return render_wakeup
    if form.full_name == "ftrace:print":
        return lambda r: f"{_function(opened, r)}: {r.get('buf', '')}"
    if form.full_name in ("ftrace:bprint", "ftrace:bputs"):
        return lambda r: f"{_function(opened, r)}: {render_bprint(r, opened.printk, opened.layout)}"
    return parse_print_fmt(form.print_fmt) or (lambda r: render_fields(form, r))


def render_fields(form: EventFormat, record: Record) -> str:
    """Prints all fields one by one, for an unsupported print format; addresses and unsigned longs in hexadecimal."""
    parts = []
    for field in form.own_fields:
        value = record.get(field.name, 0)
        as_hex = isinstance(value, int) and not field.signed and ("long" in field.type or field.type.endswith("*"))
        parts.append(f"{field.name}={value:#x}" if as_hex else f"{field.name}={value}")
    return " ".join(("[FAILED TO PARSE]", *parts))


def render_switch(r: Record) -> str:
    """Prints sched_switch in the plugin's form."""
    state = "|".join(s for i, s in enumerate(_PLUGIN_STATES) if r.get("prev_state", 0) >> i & 1) or "R"
    return (
        f"{r.get('prev_comm')}:{r.get('prev_pid')} [{r.get('prev_prio')}] {state} ==> "
        f"{r.get('next_comm')}:{r.get('next_pid')} [{r.get('next_prio')}]"
    )


def render_wakeup(r: Record) -> str:
    """Prints sched_wakeup and sched_wakeup_new in the plugin's form."""
    success = f" success={r['success']}" if "success" in r else ""
    return f"{r.get('comm')}:{r.get('pid')} [{r.get('prio')}]{success} CPU:{r.get('target_cpu', 0):03d}"


def _function(opened: RingBufferTrace, record: Record) -> str:
    found = opened.symbols.find(int(record.get("ip", 0)))
    return found[0] if found else f"0x{int(record.get('ip', 0)):x}"
