"""Broken binary ftrace: raw captures, trace.dat version 6 and 7. Every case is opened and decoded from files."""

from __future__ import annotations

import dataclasses
import shutil
import struct
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from android_suite.errors import TraceError
from android_suite.trace.dat.reader import open_trace_dat
from android_suite.trace.dat.writer import write_trace_dat
from android_suite.trace.render.lines import render_text
from android_suite.trace.ring.batches import ScanSummary, iter_batches
from android_suite.trace.ring.capture_folder import open_raw_capture
from android_suite.trace.ring.page_stream import PageStream
from android_suite.trace.ring.reader import decode_ring_buffer, read_ring_buffer_trace
from android_suite.trace.ring.ring_trace import RingBufferTrace
from tests.fuzz.checks import Rows, check_analysis, check_kept, check_trace
from tests.fuzz.engine import Case, Reader, check_refusal
from tests.fuzz.lies import lie_in_format, lie_in_number, lie_in_page
from tests.fuzz.mutate import first_difference, mutate
from tests.fuzz.seeds import SIDE_FILES, VARIANTS, Piece, Seed, make_seed, read_numbers
from tests.trace.captures import FORMATS, DatBuffer, make_dat_v7

TABLES_SHARE = 0.07  # the others are decoded, and no frames are made
ALONE_SHARE = 0.04  # of the batches of broken pages are read from files, one by one
TEXT_SHARE = 0.15  # of those: rendered as text


@dataclass(frozen=True, kw_only=True)
class Broken:
    """What to read, and the rows that must come out of it if it is decoded."""

    place: Path
    file: Path
    content: bytes | None  # of the file; None: there is none
    expected: Rows
    size: int | None = None  # of the file, where offsets count in it


class RingBufferReader(Reader):
    """What the three have in common."""

    @abstractmethod
    def open(self, place: Path) -> RingBufferTrace:
        """The reader's own way in."""

    def read(self, case: Case, made: Broken) -> None:
        if made.content is not None:
            made.file.write_bytes(made.content)
        opened = self.open(made.place)
        if not case.chance(TABLES_SHARE, "read: tables"):
            decode_ring_buffer(opened)
            return
        trace = read_ring_buffer_trace(opened)
        check_trace(case, trace, in_order=False)
        assert sum(trace.source.event_counts.values()) == trace.source.events
        if made.expected:
            case.drawn["read: compared with the whole trace"] += 1
            check_kept(trace, made.expected)
        if case.chance(TEXT_SHARE, "read: rendered as text"):
            for _ in render_text(opened, {}):
                pass

    def input_bytes(self, made: Broken, file: Path) -> int | None:
        return made.size if file == made.file else None


class RawReader(RingBufferReader):
    """Folders of per-CPU pages, format files and notes.

    In three of four batches only pages are broken. These are decoded together, each case a CPU of one trace, but for a share;
    all others are opened from their folder, one by one.
    """

    name = "raw"
    batch: ClassVar[int] = 25

    def warm_up(self) -> None:
        self.seeds = [make_seed(self.scratch, variant) for variant in range(VARIANTS)]
        self._files: dict[Path, dict[str, bytes]] = {}
        self._opened: dict[Path, RingBufferTrace] = {}
        self._dirty: dict[Path, Path] = {}
        for seed in self.seeds:
            files = (f for f in sorted(seed.folder.rglob("*")) if f.is_file())
            self._files[seed.folder] = {str(f.relative_to(seed.folder)): f.read_bytes() for f in files}
            opened = self._opened[seed.folder] = self.open(seed.folder)
            check_kept(read_ring_buffer_trace(opened), _all_rows(seed))
            assert len(list(render_text(opened, {}))) > 40
        check_analysis(read_ring_buffer_trace(opened))

    def open(self, place: Path) -> RingBufferTrace:
        return open_raw_capture(place)

    def make(self, case: Case) -> Broken:
        pages_only = case.number // self.batch % 4 != 3
        # The seeds of one batch are few, so that cases meet in one trace.
        seed = self.seeds[(case.number // self.batch + case.rng.randrange(2)) % len(self.seeds)]
        kind = case.rng.choice(
            ("page", "page", "bytes") if pages_only else ("page", "bytes", "format", "format", "file")
        )
        if kind == "format":
            return self._break_format(case, seed)
        if kind == "file":
            return self._break_file(case, seed)
        cpu, other = (seed.cpus[n] for n in case.rng.sample((0, 1), 2))
        out = bytearray(cpu.data)
        if kind == "page":
            for _ in range(case.rng.choice((1, 1, 2, 4))):
                lie_in_page(case, out, 0, cpu.pages, seed.layout)
        else:
            out = bytearray(mutate(case, cpu.data, other.data))
        whole = first_difference(cpu.data, bytes(out)) // seed.layout.page_bytes
        expected: Rows = sum(other.rows, Counter()) + sum(cpu.rows[:whole], Counter())
        return self._broken(seed, f"ftrace/cpu{cpu.cpu}.raw", bytes(out), expected)

    def _break_format(self, case: Case, seed: Seed) -> Broken:
        form = FORMATS[case.rng.choice(seed.formats)]
        name, rows = f"ftrace/formats/{form.system}/{form.name}", seed.rows_without[form.name]
        if case.rng.random() < 0.05:
            case.drawn["format: no file"] += 1
            return self._broken(seed, name, None, rows)
        text = lie_in_format(case, form.text)
        # With its own ID left, what it says of one event leaves the others alone.
        alone = f"\nID: {form.id}\n" in text and text.count("ID:") == 1
        return self._broken(seed, name, text.encode(), rows if alone else Counter())

    def _break_file(self, case: Case, seed: Seed) -> Broken:
        files = self._files[seed.folder]
        name = case.rng.choice([n for n in files if not n.endswith(".raw")])
        case.drawn[f"file: {name.split('/')[1]}"] += 1
        broken = mutate(case, files[name], files[case.rng.choice(list(files))])
        told = Path(name).name in SIDE_FILES and Path(name).name != "kallsyms"
        return self._broken(seed, name, broken, _all_rows(seed) if told else Counter())

    def _broken(self, seed: Seed, name: str, content: bytes | None, expected: Rows) -> Broken:
        file = seed.folder / name
        return Broken(place=seed.folder, file=file, content=content, expected=expected, size=len(content or b""))

    def read(self, case: Case, made: Broken) -> None:
        if (dirty := self._dirty.pop(made.place, None)) is not None:
            dirty.write_bytes(self._files[made.place][str(dirty.relative_to(made.place))])
        self._dirty[made.place] = made.file
        if made.content is None:
            made.file.unlink()
        super().read(case, made)

    def read_together(self, cases: Sequence[Case], made: Sequence[Broken]) -> list[bool] | None:
        if any(broken.file.suffix != ".raw" for broken in made) or cases[0].chance(
            ALONE_SHARE, "read: batch from files"
        ):
            return None
        found = [True] * len(made)
        for place in {broken.place for broken in made}:
            opened = self._opened[place]
            streams = {}
            for number, broken in enumerate(made):
                if broken.place != place:
                    continue
                file = broken.file.with_name(f"{broken.file.stem}.{number}.raw")
                stream = _stream_of(broken.content or b"", file)
                try:
                    for _ in iter_batches((stream,), opened.layout, _NO_KINDS, ScanSummary()):
                        pass  # its pages alone, before they meet others
                    streams[file] = number, stream
                except TraceError as error:
                    check_refusal(error, self, dataclasses.replace(broken, file=file))
                    found[number] = False
            self._decode_together(cases[0], opened, streams, made, found)
        return found

    def _decode_together(
        self, case: Case, opened: RingBufferTrace, streams: dict[Path, tuple[int, PageStream]], made: Sequence[Broken],
        found: list[bool],
    ) -> None:  # fmt: skip
        tables = case.chance(TABLES_SHARE, "read: batch into tables")
        while streams:
            joined = dataclasses.replace(opened, streams=tuple(stream for _, stream in streams.values()))
            try:
                if not tables:
                    decode_ring_buffer(joined)
                    return
                trace = read_ring_buffer_trace(joined)
            except TraceError as error:
                # A record too short for its format: the case it is in is named by its file.
                number, _ = streams.pop(error.file)
                check_refusal(error, self, dataclasses.replace(made[number], file=error.file))
                found[number] = False
                continue
            check_trace(case, trace, in_order=False)
            other = {seed.folder: [_all_rows(seed, cpu) for cpu in (1, 0)] for seed in self.seeds}
            own = (made[n].expected - other[made[n].place][int(made[n].file.stem[3:])] for n, _ in streams.values())
            check_kept(trace, sum(own, Counter()))
            return


_NO_KINDS = np.zeros(1 << 16, np.int32)


def _all_rows(seed: Seed, cpu: int | None = None) -> Rows:
    return sum((sum(c.rows, Counter()) for c in seed.cpus.values() if cpu in (None, c.cpu)), Counter())


class _MemoryPages:
    """A CPU's pages from memory."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = np.frombuffer(data, np.uint8), 0

    def read_into(self, target: npt.NDArray[np.uint8]) -> int:
        part = self._data[self._at : self._at + target.size]
        target[: part.size] = part
        self._at += part.size
        return part.size


def _stream_of(data: bytes, file: Path) -> PageStream:
    return PageStream(
        cpu=int(file.stem[3]), file=file, offset=0, bytes=len(data), open_reader=lambda: _MemoryPages(data)
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DatSeed:
    """A whole trace.dat and where its parts are."""

    raw: Seed
    data: bytes
    numbers: list[tuple[int, int, str]]
    pieces: list[Piece]  # none where the pages are packed
    compression: str = "none"
    buffers: tuple[DatBuffer, ...] = ()
    options: tuple[tuple[int, bytes], ...] = ()


class DatReader(RingBufferReader):
    """A trace.dat of either version."""

    def warm_up(self) -> None:
        folder = self.scratch / "raw"
        self._file = self.scratch / "t.dat"
        self.seeds = [self.make_seed(make_seed(folder, variant), variant) for variant in range(VARIANTS)]
        shutil.rmtree(folder)
        for seed in self.seeds:
            self._file.write_bytes(seed.data)
            trace = read_ring_buffer_trace(self.open(self._file))
            check_kept(trace, sum((piece.rows for piece in seed.pieces), Counter()))
            assert trace.source.events > 40
            assert len(seed.numbers) > 20
        check_analysis(trace)

    @abstractmethod
    def make_seed(self, raw: Seed, variant: int) -> DatSeed:
        """The whole file."""

    def open(self, place: Path) -> RingBufferTrace:
        return open_trace_dat(place)

    def make(self, case: Case) -> Broken:
        seed = case.rng.choice(self.seeds)
        kind = case.rng.choice(("bytes", "page", "page", "number", "number", "format", "packed"))
        if kind == "page" and not seed.pieces:
            kind = "packed"
        if kind == "packed" and seed.compression == "none":
            kind = "number"
        match kind:
            case "bytes":
                data = mutate(case, seed.data, case.rng.choice(self.seeds).data)
            case "page":
                data = self._break_pages(case, seed)
            case "number":
                data = lie_in_number(case, seed.data, seed.numbers, self._order(seed))
            case "format" if seed.compression == "none":
                data = self._break_format(case, seed)
            case _:
                data = self._break_packed(case, seed)
        size = len(data) if seed.compression == "none" else None
        return Broken(place=self._file, file=self._file, content=data, expected=_untouched(seed, data), size=size)

    @staticmethod
    def _order(seed: DatSeed) -> str:
        return "big" if seed.raw.layout.big_endian else "little"

    def _break_pages(self, case: Case, seed: DatSeed) -> bytes:
        out = bytearray(seed.data)
        for _ in range(case.rng.choice((1, 1, 2, 4))):
            first = case.rng.choice([p for p in seed.pieces if p.cpu in seed.raw.cpus])
            pages = seed.raw.cpus[first.cpu].pages
            lie_in_page(case, out, min(p.start for p in seed.pieces if p.cpu == first.cpu), pages, seed.raw.layout)
        return bytes(out)

    def _break_format(self, case: Case, seed: DatSeed) -> bytes:
        """A format of the same length, so that the rest of the file stays where the headers say."""
        form = FORMATS[case.rng.choice(seed.raw.formats)]
        text = form.text.encode()
        at = seed.data.index(text)
        lied = lie_in_format(case, form.text).encode()[: len(text)].ljust(len(text))
        return seed.data[:at] + lied + seed.data[at + len(text) :]

    def _break_packed(self, case: Case, seed: DatSeed) -> bytes:
        """Packed anew after the insides were changed: sizes are true, and the insides lie."""
        target, seen = case.rng.randrange(8), -1

        def spoil(data: bytes) -> bytes:
            nonlocal seen
            seen += 1
            if seen != target:
                return data
            case.drawn["packed: insides"] += 1
            form = FORMATS[case.rng.choice(seed.raw.formats)]
            if form.text.encode() in data:
                lied = lie_in_format(case, form.text).encode()
                old = len(form.text).to_bytes(8, self._order(seed)) + form.text.encode()  # type: ignore[arg-type]
                return data.replace(old, len(lied).to_bytes(8, self._order(seed)) + lied)  # type: ignore[arg-type]
            return mutate(case, data)

        return make_dat_v7(
            seed.raw.layout, seed.buffers, compression=seed.compression, options=seed.options, formats=seed.raw.formats,
            cmdlines=SIDE_FILES["saved_cmdlines"], spoil=spoil,
        )  # fmt: skip


def _untouched(seed: DatSeed, data: bytes) -> Rows:
    """The rows of pages that are as they were, if nothing but pages is not. None where a page is not in its place."""
    if len(data) != len(seed.data) or not seed.pieces:
        return Counter()
    rows: Rows = Counter()
    at = 0
    for piece in sorted(seed.pieces, key=lambda p: p.start):
        if data[at : piece.start] != seed.data[at : piece.start]:
            return Counter()
        if data[piece.start : piece.end] == seed.data[piece.start : piece.end]:
            rows += piece.rows
        at = piece.end
    return rows if data[at:] == seed.data[at:] else Counter()


def _find_pieces(seed: Seed, data: bytes) -> list[Piece]:
    """Where the pages of a capture stand in a file that holds them as they are."""
    found = []
    for cpu in seed.cpus.values():
        start = data.index(cpu.data)
        for page, rows in zip(cpu.pages, cpu.rows, strict=True):
            at = start + page.start
            found.append(Piece(cpu=cpu.cpu, start=at, end=at + seed.layout.page_bytes, rows=rows))
    return found


class Dat6Reader(DatReader):
    """As the suite itself and old trace-cmds write it."""

    name = "dat6"

    def make_seed(self, raw: Seed, variant: int) -> DatSeed:
        write_trace_dat(raw.folder, self._file)
        data = self._file.read_bytes()
        return DatSeed(
            raw=raw,
            data=data,
            numbers=read_numbers(lambda: self.open(self._file), data),
            pieces=_find_pieces(raw, data),
        )


class Dat7Reader(DatReader):
    """As trace-cmd 3 writes it: packed or not, several buffers, options of every kind."""

    name = "dat7"

    def make_seed(self, raw: Seed, variant: int) -> DatSeed:
        order = ">" if raw.layout.big_endian else "<"
        compression = ("none", "zlib", "zstd", "none")[variant % 4]
        options: list[tuple[int, bytes]] = [
            (2, b"CPU: 0\nentries: 9\noverrun: 0\n\0"), (4, b"local [mono] boot\0"), (5, b"Linux host 6.17.0-test #1 aarch64\0"),
            (8, struct.pack(order + "I", 2)), (99, b"unknown"), (6, b""), (10, b"abc\0"),
        ]  # fmt: skip
        if variant % 4 == 3:
            options += [(7, b"-12345\0"), (14, struct.pack(order + "IIQ", 3, 1, 0)), (12, bytes(40))]
        buffers = [DatBuffer(cpus={n: c.data for n, c in raw.cpus.items()})]
        if variant % 3 == 2:
            buffers.append(DatBuffer(name="side", cpus={0: raw.cpus[1].data}))
        data = make_dat_v7(
            raw.layout,
            buffers,
            compression=compression,
            options=options,
            formats=raw.formats,
            cmdlines=SIDE_FILES["saved_cmdlines"],
        )
        self._file.write_bytes(data)
        numbers = read_numbers(lambda: decode_ring_buffer(self.open(self._file)), data)
        pieces = _find_pieces(raw, data) if compression == "none" else []
        for piece in pieces:
            for row in list(piece.rows):
                # Adjusted times, and addresses that this file has no names for, are not those of the raw capture.
                if variant % 4 == 3 or row[0] == "blocked_reason":
                    del piece.rows[row]
        return DatSeed(
            raw=raw,
            data=data,
            numbers=numbers,
            pieces=pieces,
            compression=compression,
            buffers=tuple(buffers),
            options=tuple(options),
        )
