"""Any broken file through the one door, ``open_trace``: formats found from the content, packings in packings, bombs."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from android_suite.tables.trace import Trace
from android_suite.trace import detect
from android_suite.trace.dat.reader import open_trace_dat
from android_suite.trace.detect import open_trace
from android_suite.trace.perfetto.index import index_bundles
from android_suite.trace.perfetto.packets import read_packets
from android_suite.trace.ring.reader import decode_ring_buffer
from android_suite.trace.text.unwrap import unwrap_text
from tests.fuzz.bombs import KINDS, make_bomb, small_bounds
from tests.fuzz.checks import check_analysis, check_trace
from tests.fuzz.dat import Dat6Reader, Dat7Reader
from tests.fuzz.engine import Case, Reader
from tests.fuzz.mutate import mutate, mutate_text
from tests.fuzz.perfetto import mutate_packets
from tests.fuzz.text import LAYERS, PACKERS, TEXTS, pack
from tests.trace.samples import make_perfetto

TABLES_SHARE = 0.1  # the others end when the reader behind the door has framed and unpacked its input
BOMB_SHARE = 0.02
GREAT_SHARE = 0.003  # of the bombs: against the true bounds, 256 MiB and more
_MAGICS = (
    b"\x89PNG\r\n\x1a\n",
    b"\x7fELF",
    b"PERFILE2",
    b"%PDF-1.4",
    b"{",
    b"\xff\xd8\xff",
    b"\x17\x08\x44tracing",
    b"\x0a",
    b"",
)


class _FramedError(Exception):
    """The reader behind the door would go on: no reason to refuse was found."""


def _frame_text(source: Path | bytes, *, name: str = "") -> Trace:
    unwrap_text(source if isinstance(source, bytes) else source.read_bytes(), name or str(source))
    raise _FramedError


def _frame_perfetto(source: Path | bytes, *, name: str = "") -> Trace:
    called = name or str(source)
    index_bundles(read_packets(source, called), called)
    raise _FramedError


def _frame_dat(path: Path) -> Trace:
    decode_ring_buffer(open_trace_dat(path))
    raise _FramedError


@contextlib.contextmanager
def _framing_only() -> Iterator[None]:
    with (
        mock.patch.object(detect, "_read_text", _frame_text),
        mock.patch.object(detect, "_read_perfetto", _frame_perfetto),
        mock.patch.object(detect, "read_trace_dat", _frame_dat),
        contextlib.suppress(_FramedError),
    ):
        yield


class DetectReader(Reader):
    """What ``analyze`` is given: any file at all."""

    name = "detect"

    def warm_up(self) -> None:
        self._file = self.scratch / "any"
        rng = random.Random(0)
        dats = [seed.data for kind in (Dat6Reader, Dat7Reader) for seed in kind(self.scratch).seeds]
        self._dats = rng.sample(dats, 8)
        for data in (*TEXTS, make_perfetto(0), *self._dats, *(pack("zip", dat) for dat in self._dats)):
            self._file.write_bytes(data)
            trace = open_trace(self._file)
            assert trace.source.events > 10
        check_analysis(trace)

    def make(self, case: Case) -> tuple[bytes, bool]:
        rng = case.rng
        if rng.random() < BOMB_SHARE:
            return self._make_bomb(case)
        kind = rng.choice(("text", "packets", "trace.dat", "packed", "packed", "layers", "magic", "noise"))
        case.drawn[f"file: {kind}"] += 1
        match kind:
            case "text":
                return mutate_text(case, rng.choice(TEXTS)), True
            case "packets":
                return mutate_packets(case, rng.randrange(4)), True
            case "trace.dat":
                return mutate(case, rng.choice(self._dats), rng.choice(self._dats)), True
            case "packed":
                data = pack(rng.choice(PACKERS), self._any(case))
                return mutate(case, data) if rng.random() < 0.8 else data, True
            case "layers":
                data = self._any(case)
                for _ in range(rng.choice((2, 2, 3, 4, 9))):
                    data = pack(rng.choice(LAYERS), data)
                return mutate(case, data) if rng.random() < 0.5 else data, True
            case "magic":
                return rng.choice(_MAGICS) + mutate(case, self._any(case)), True
        return rng.randbytes(rng.choice((1, 2, 3, 10, 100, 5000))), True

    def _any(self, case: Case) -> bytes:
        return case.rng.choice((*TEXTS, make_perfetto(case.rng.randrange(4)), *self._dats, b""))

    def _make_bomb(self, case: Case) -> tuple[bytes, bool]:
        rng = case.rng
        kind, small = rng.choice(KINDS), not case.chance(GREAT_SHARE, "bomb: true bounds")
        case.drawn[f"bomb: {kind}"] += 1
        size = rng.choice((1 << 20, 3 << 20, 16 << 20)) if small else rng.choice((200 << 20, 700 << 20))
        data = (
            make_bomb.__wrapped__(kind, size, "zeros")
            if not small
            else make_bomb(kind, size, rng.choice(("zeros", "text")))
        )
        return (mutate(case, data) if rng.random() < 0.3 else data), small

    def read(self, case: Case, made: tuple[bytes, bool]) -> None:
        data, small = made
        self._file.write_bytes(data)
        with contextlib.ExitStack() as stack:
            if small:
                stack.enter_context(small_bounds())
            if not small or not case.chance(TABLES_SHARE, "read: tables"):
                stack.enter_context(_framing_only())
                open_trace(self._file)
                return
            check_trace(case, open_trace(self._file), in_order=False)
