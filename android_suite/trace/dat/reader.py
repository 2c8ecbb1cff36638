"""Reads trace.dat, versions 6 and 7: headers, formats, options and buffers."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from android_suite.errors import TraceError, Unsupported
from android_suite.tables.trace import Trace
from android_suite.trace.core.event_format import EventFormat, PageLayout, parse_event_format, parse_header_page
from android_suite.trace.core.side_files import Symbols, parse_pairs, parse_printk_formats
from android_suite.trace.dat.compression import ChunkReader, check_algorithm, unpack_section
from android_suite.trace.dat.cursor import Cursor
from android_suite.trace.dat.options import Buffer, Options, read_option
from android_suite.trace.ring.page_stream import PageStream, file_stream
from android_suite.trace.ring.reader import read_ring_buffer_trace
from android_suite.trace.ring.ring_trace import RingBufferTrace

MAGIC = b"\x17\x08\x44tracing"
MAX_FORMATS = 20_000
MAX_SECTIONS = 1_000
MAX_CPUS = 4096

# Options and sections of version 7 that point at the blocks of version 6.
_HEADER_INFO, _FTRACE_EVENTS, _EVENT_FORMATS, _KALLSYMS, _PRINTK, _CMDLINES = 16, 17, 18, 19, 20, 21
_SECTION_PACKED = 1


@dataclass(slots=True, kw_only=True)
class _Parts:
    """The content of the headers read so far."""

    header_page: str | None = None
    header_page_at: int = 0
    formats: list[EventFormat] = field(default_factory=list)
    kallsyms: str = ""
    printk: str = ""
    cmdlines: str = ""
    options: Options = field(default_factory=Options)


def read_trace_dat(path: Path) -> Trace:
    """Decodes a trace.dat, version 6 or 7, into the event tables.

    Raises:
        TraceError: it is not a trace.dat, or damaged; names file, offset and what was expected there.
        Unsupported: it holds latency-format text or has an unsupported compression.
    """
    return read_ring_buffer_trace(open_trace_dat(path))


def open_trace_dat(path: Path) -> RingBufferTrace:
    """Reads the headers of a trace.dat. Its events are read later from the file, which must continue to exist.

    Raises:
        TraceError, Unsupported: as ``read_trace_dat``.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            cursor = Cursor(file, path, size)
            cursor.expect(MAGIC, "the first bytes of a trace.dat")
            version = cursor.string("the version of a trace.dat", limit=8)
            if version not in ("6", "7"):
                raise cursor.fail(f"trace.dat version 6 or 7, found {version!r}")
            endian = cursor.number(1, "the byte order")
            if endian > 1:
                raise cursor.fail(f"byte order 0 or 1, found {endian}")
            cursor.order = "big" if endian else "little"
            if cursor.number(1, "the size of a long") not in (4, 8):
                raise cursor.fail("longs of 4 or 8 bytes")
            page_bytes = cursor.number(4, "the page size")
            read = _read_v6 if version == "6" else _read_v7
            return read(cursor, page_bytes, bool(endian))
    except OSError as error:
        raise TraceError(path, None, f"a readable file ({error.strerror})") from error


def _read_v6(cursor: Cursor, page_bytes: int, big: bool) -> RingBufferTrace:
    parts = _Parts()
    _read_header_info(cursor, parts)
    _read_ftrace_formats(cursor, parts)
    _read_event_formats(cursor, parts)
    parts.kallsyms = cursor.block(4, "kallsyms")
    parts.printk = cursor.block(4, "printk formats")
    parts.cmdlines = cursor.block(8, "saved command lines")
    cpus = cursor.number(4, "the number of CPUs")
    buffers = [_read_v6_buffer(cursor, parts.options, cpus, page_bytes, "")]
    for instance in tuple(parts.options.instances):
        cursor.seek(instance.offset, f"buffer {instance.name[:40]!r}")
        # An instance has its own options with its CPU counters; only those of the top-level buffer belong to the trace.
        own = Options()
        buffers.append(_read_v6_buffer(cursor, own, cpus, page_bytes, instance.name))
    return _assemble(cursor, parts, buffers, algorithm="none", big=big)


def _read_v6_buffer(cursor: Cursor, options: Options, cpus: int, page_bytes: int, name: str) -> Buffer:
    kind = cursor.take(10, "'options', 'latency' or 'flyrecord'")
    if kind == b"options  \0":
        while number := cursor.number(2, "an option"):
            read_option(cursor, options, number, cursor.number(4, "an option's size"), version=6)
        kind = cursor.take(10, "'latency' or 'flyrecord'")
    if kind == b"latency  \0":
        raise Unsupported(
            f"{cursor.path} holds a latency trace as text; print it with `trace-cmd report -l` and analyze that."
        )
    if kind != b"flyrecord\0":
        raise cursor.fail("'options', 'latency' or 'flyrecord'")
    count = options.cpu_count if options.cpu_count is not None else cpus
    if not 0 <= count <= MAX_CPUS:
        raise cursor.fail(f"at most {MAX_CPUS} CPUs, found {count}")
    places = []
    for cpu in range(count):
        offset, size = cursor.number(8, "an offset of pages"), cursor.number(8, "a size of pages")
        places.append((cpu, offset, size))
    clock = None
    if options.clock_follows and not name:
        try:
            clock = options.choose_clock(cursor.block(8, "the trace clock"))
        except TraceError:
            clock = "local"  # old versions of trace-cmd wrote this block wrongly
    return Buffer(name=name, clock=clock or options.clock or "local", page_bytes=page_bytes, cpus=tuple(places))


def _read_v7(cursor: Cursor, page_bytes: int, big: bool) -> RingBufferTrace:
    parts = _Parts()
    algorithm = cursor.string("a compression", limit=64)
    cursor.string("a compression's version", limit=64)
    check_algorithm(algorithm, cursor.path)
    for section in _iter_option_sections(cursor, algorithm):
        while True:
            number, size = section.number(2, "an option"), section.number(4, "an option's size")
            if number == 0:
                break
            if number in _READERS:
                if size < 8:
                    raise section.fail("the offset of a section")
                end = section.at + size
                _read_section(cursor, section.number(8, "a section's offset"), number, algorithm, parts)
                section.seek(end, "the next option")
            else:
                read_option(section, parts.options, number, size, version=7)
    return _assemble(cursor, parts, parts.options.buffers, algorithm=algorithm, big=big, page_bytes=page_bytes)


def _iter_option_sections(cursor: Cursor, algorithm: str) -> Iterator[Cursor]:
    """Unpacks the sections of options. The last 8 bytes of each (option DONE) are the offset of the next."""
    offset = cursor.number(8, "the offset of the options")
    seen: set[int] = set()
    while offset:
        if offset in seen or len(seen) >= MAX_SECTIONS:
            raise cursor.fail("a chain of options that ends")
        seen.add(offset)
        section = _open_section(cursor, offset, 0, algorithm)
        yield section
        # The caller stopped after the head of option DONE.
        offset = section.number(8, "the offset of the next options")


def _open_section(cursor: Cursor, offset: int, wanted: int, algorithm: str) -> Cursor:
    cursor.seek(offset, f"section {wanted}")
    found, flags = cursor.number(2, "a section"), cursor.number(2, "a section's flags")
    cursor.number(4, "a section's name")
    size = cursor.number(8, "a section's size")
    if found != wanted:
        raise cursor.fail(f"section {wanted}, found {found}")
    start = cursor.at
    data = unpack_section(cursor, algorithm) if flags & _SECTION_PACKED else cursor.take(size, f"section {wanted}")
    return Cursor(io.BytesIO(data), cursor.path, len(data), big_endian=cursor.order == "big", shift=start)


def _read_section(cursor: Cursor, offset: int, number: int, algorithm: str, parts: _Parts) -> None:
    _READERS[number](_open_section(cursor, offset, number, algorithm), parts)


def _read_header_info(cursor: Cursor, parts: _Parts) -> None:
    cursor.expect(b"header_page\0", "'header_page'")
    parts.header_page_at = cursor.at
    parts.header_page = cursor.block(8, "header_page")
    cursor.expect(b"header_event\0", "'header_event'")
    cursor.block(8, "header_event")


def _read_ftrace_formats(cursor: Cursor, parts: _Parts) -> None:
    _read_formats(cursor, parts, "ftrace", cursor.number(4, "the number of ftrace formats"))


def _read_event_formats(cursor: Cursor, parts: _Parts) -> None:
    systems = cursor.number(4, "the number of event systems")
    if systems > MAX_FORMATS:
        raise cursor.fail(f"at most {MAX_FORMATS} event systems, found {systems}")
    for _ in range(systems):
        name = cursor.string("an event system")
        _read_formats(cursor, parts, name, cursor.number(4, f"the number of formats of {name[:40]}"))


def _read_formats(cursor: Cursor, parts: _Parts, system: str, count: int) -> None:
    if len(parts.formats) + count > MAX_FORMATS:
        raise cursor.fail(f"at most {MAX_FORMATS} event formats, found {count}")
    for _ in range(count):
        at = cursor.at
        text = cursor.block(8, "an event format")
        parts.formats.append(parse_event_format(text, system=system, file=cursor.path, offset=at))


def _read_kallsyms(cursor: Cursor, parts: _Parts) -> None:
    parts.kallsyms = cursor.block(4, "kallsyms")


def _read_printk(cursor: Cursor, parts: _Parts) -> None:
    parts.printk = cursor.block(4, "printk formats")


def _read_cmdlines(cursor: Cursor, parts: _Parts) -> None:
    parts.cmdlines = cursor.block(8, "saved command lines")


_READERS = {
    _HEADER_INFO: _read_header_info, _FTRACE_EVENTS: _read_ftrace_formats, _EVENT_FORMATS: _read_event_formats,
    _KALLSYMS: _read_kallsyms, _PRINTK: _read_printk, _CMDLINES: _read_cmdlines,
}  # fmt: skip


def _assemble(
    cursor: Cursor, parts: _Parts, buffers: list[Buffer], *, algorithm: str, big: bool, page_bytes: int | None = None
) -> RingBufferTrace:
    path, options = cursor.path, parts.options
    if parts.header_page is None:
        raise TraceError(path, None, "a header_page section")
    if not buffers:
        raise TraceError(path, None, "a buffer with events")
    layout = parse_header_page(parts.header_page, file=path, big_endian=big, offset=parts.header_page_at)
    layout = _with_page_size(layout, buffers, cursor)
    streams = tuple(
        _make_stream(cursor, options, cpu, offset, size, algorithm, big)
        for buffer in buffers for cpu, offset, size in buffer.cpus
    )  # fmt: skip
    kernel, machine = options.kernel, options.machine
    notes = [*options.notes]
    if len(buffers) > 1:
        notes.append(f"buffers {', '.join(repr(b.name[:40]) for b in buffers)} merged into one trace")
    return RingBufferTrace(
        format="trace_dat", path=str(path), streams=streams, layout=layout, formats=tuple(parts.formats),
        scaled=options.tsc is not None,
        cpu_count=min(options.cpu_count or 0, MAX_CPUS),
        clock=options.clock or buffers[0].clock, kernel=kernel, machine=machine, stats=options.stats,
        tgids=options.tgids, saved_comms=parse_pairs(parts.cmdlines), symbols=Symbols(parts.kallsyms),
        printk=parse_printk_formats(parts.printk), notes=tuple(notes),
    )  # fmt: skip


def _with_page_size(layout: PageLayout, buffers: list[Buffer], cursor: Cursor) -> PageLayout:
    """Takes the page size from the buffers, because header_page may describe the kernel's default."""
    sizes = {b.page_bytes for b in buffers}
    if len(sizes) > 1:
        raise Unsupported(f"{cursor.path} has buffers of different page sizes {sorted(sizes)}; record them separately.")
    page = sizes.pop()
    if not (64 <= page <= 1 << 24 and page % 4 == 0 and page > layout.data_offset):
        raise cursor.fail(f"a page size between 64 bytes and 16 MiB, found {page}")
    return dataclasses.replace(layout, page_bytes=page)


def _make_stream(
    cursor: Cursor, options: Options, cpu: int, offset: int, size: int, algorithm: str, big: bool
) -> PageStream:
    if offset + size > cursor.end:
        raise TraceError(
            cursor.path,
            cursor.end,
            f"pages of CPU {cpu} up to byte {offset + size}",
            hint="The file was cut; copy it again.",
        )
    path, adjust = cursor.path, options.time_adjustment()
    if algorithm == "none":
        return dataclasses.replace(file_stream(cpu=cpu, file=path, offset=offset, nbytes=size), adjust_ns=adjust)
    return PageStream(
        cpu=cpu, file=path, offset=offset, bytes=1 << 24,
        open_reader=lambda: ChunkReader(path, offset, size, algorithm=algorithm, big_endian=big), adjust_ns=adjust,
    )  # fmt: skip
