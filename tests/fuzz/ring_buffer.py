"""Broken binary ftrace: what its readers have in common, and raw captures. Every case is opened and decoded from files."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from android_suite.errors import TraceError
from android_suite.trace.render.lines import render_text
from android_suite.trace.ring.batches import ScanSummary, iter_batches
from android_suite.trace.ring.capture_folder import open_raw_capture
from android_suite.trace.ring.page_stream import PageStream
from android_suite.trace.ring.reader import decode_ring_buffer, read_ring_buffer_trace
from android_suite.trace.ring.ring_trace import RingBufferTrace
from tests.fuzz.checks import Rows, check_analysis, check_kept, check_trace
from tests.fuzz.engine import Case, Reader, check_refusal
from tests.fuzz.lies import lie_in_format, lie_in_page
from tests.fuzz.mutate import first_difference, mutate
from tests.fuzz.seeds import SIDE_FILES, VARIANTS, Seed, make_seed
from tests.trace.captures import FORMATS

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
