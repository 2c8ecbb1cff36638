"""Broken trace.dat files of version 6 and 7."""

from __future__ import annotations

import shutil
import struct
from abc import abstractmethod
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from android_suite.trace.dat.reader import open_trace_dat
from android_suite.trace.dat.writer import write_trace_dat
from android_suite.trace.ring.reader import decode_ring_buffer, read_ring_buffer_trace
from android_suite.trace.ring.ring_trace import RingBufferTrace
from tests.fuzz.checks import Rows, check_analysis, check_kept
from tests.fuzz.engine import Case
from tests.fuzz.lies import lie_in_format, lie_in_number, lie_in_page
from tests.fuzz.mutate import mutate
from tests.fuzz.ring_buffer import Broken, RingBufferReader
from tests.fuzz.seeds import SIDE_FILES, VARIANTS, Piece, Seed, make_seed, read_numbers
from tests.trace.captures import FORMATS, DatBuffer, make_dat_v7


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
