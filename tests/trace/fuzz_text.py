"""Mutated input into the text, Perfetto and packed readers, detection and the evidence parsers.

    python -m tests.trace.fuzz_text --reader text --cases 200000 [--seed 1] [--only 4711]

A reader may decode what it is given or refuse it with a TraceError or UsageError; evidence parsers with an EvidenceError.
Each case depends on the seed and its number alone, so a failure is repeated with ``--only``. Making the declared frames costs
far more than decoding a few lines, so inputs that may follow each other in one file (lines of text, packets) are read many at
a time; a batch that fails is repeated one by one, to name the case.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import zstandard
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.errors import EvidenceError, TraceError, UsageError
from android_suite.evidence.am_start import parse_am_starts
from android_suite.evidence.framestats import parse_framestats_polls
from android_suite.evidence.gfxinfo import parse_gfxinfo
from android_suite.evidence.lock_stat import parse_lock_stat
from android_suite.evidence.logcat import (
    parse_displayed,
    parse_gc_lines,
    parse_logcat,
    parse_monitor_contention,
    parse_results,
)
from android_suite.evidence.maps import parse_smaps
from android_suite.evidence.processes import parse_threads
from android_suite.evidence.vmstat import parse_vmstat
from android_suite.tables import events
from android_suite.tables.schema import check_frame
from android_suite.tables.trace import Trace
from android_suite.trace.detect import open_trace
from android_suite.trace.perfetto import read_perfetto
from android_suite.trace.perfetto_index import index_bundles
from android_suite.trace.perfetto_packets import read_packets
from android_suite.trace.text import read_text
from android_suite.trace.text_unpack import unwrap_text
from tests.trace.fuzz import CASE_SECONDS, MEMORY_BYTES, _peak_bytes, mutate
from tests.trace.samples import EVIDENCE_TEXT, SYSTRACE_HTML, TRACE_CMD_TEXT, TRACE_TEXT, make_perfetto

BATCH = 50
READERS = ("text", "packed", "perfetto", "detect", "evidence")
_WORDS = (
    b"prev_pid=", b" ==> ", b"[000]", b"[LOST 3 EVENTS]", b"CPU:0 ", b"\n", b"-1", b"99999999999999999999",
    b"0x", b"ffffffffffffffffff", b"(-----)", b"<...>-", b": ", b"  ", b"\t", b"\0", b"\xff\xfe", b"=", b"]",
    b"# entries-in-buffer/entries-written: 1/99999 #P:4096\n", b"4194304", b"4194305", b"9000000000.000000:",
    b"0.0:", b"%", b"sys_enter_madvise: ", b"function <-parent", b"18446744073709551615",
    b"---PROFILEDATA---\n", b"Flags,", b"lock_stat version 0.4\n", b"9223372036854775807", b"result part 2/3 ",
    b"{", b"ms", b"-W:", b"----\n",
)  # fmt: skip


def mutate_text(rng: random.Random, data: bytes) -> bytes:
    """Faults a text is prone to, or those of any bytes."""
    if rng.random() < 0.4:
        return mutate(rng, data)
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(5):
            case 0:
                out[at:at] = rng.choice(_WORDS)
            case 1:
                word = rng.choice(_WORDS)
                out[at : at + len(word)] = word
            case 2:
                out[at:at] = rng.choice(_WORDS) * rng.choice((10, 300))
            case 3:
                lines = bytes(out).split(b"\n")
                rng.shuffle(lines)
                out = bytearray(b"\n".join(lines))
            case _:
                end = out.find(b" ", at)
                del out[at : end if end > 0 else at + 1]
    return bytes(out)


def _pack(rng: random.Random, data: bytes) -> bytes:
    match rng.randrange(6):
        case 0:
            return b"TRACE:\n" + zlib.compress(data)
        case 1:
            return gzip.compress(data)
        case 2:
            return zstandard.ZstdCompressor().compress(data)
        case 3:
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("t", data)
            return out.getvalue()
        case 4:
            return SYSTRACE_HTML.replace(b"@", data)
        case _:
            return b'<html><script>\nvar linuxPerfData = "\\\n' + data.replace(b"\n", b"\\n\\\n") + b'";</script>'


def make_input(reader: str, rng: random.Random) -> bytes:
    """The mutated input of one case."""
    text = rng.choice((TRACE_TEXT, TRACE_CMD_TEXT))
    match reader:
        case "text":
            return mutate_text(rng, text)
        case "packed":
            packed = _pack(rng, mutate_text(rng, text) if rng.random() < 0.5 else text)
            return mutate(rng, packed) if rng.random() < 0.7 else packed
        case "perfetto":
            return mutate_packets(rng, make_perfetto(rng.randrange(4)))
        case "evidence":
            return mutate_text(rng, rng.choice(EVIDENCE_TEXT))
        case _:
            return mutate(rng, rng.choice((text, _pack(rng, text), make_perfetto(0), _pack(rng, make_perfetto(1)))))


def mutate_packets(rng: random.Random, data: bytes) -> bytes:
    """Faults in the bytes, or inside packets whose framing stays whole, so that the insides are reached."""
    if rng.random() < 0.3:
        return mutate(rng, data)
    trace = protos.Trace.FromString(data)
    at = rng.randrange(len(trace.packet))
    packets = [packet.SerializeToString() for packet in trace.packet]
    body = mutate(rng, packets[at])
    if rng.random() < 0.2:
        body = b"\x92\x03" + _varint(len(body)) + zlib.compress(b"\x0a" + _varint(len(body)) + body)
    packets[at] = body
    return b"".join(b"\x0a" + _varint(len(packet)) + packet for packet in packets)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def check_trace(trace: Trace, rng: random.Random) -> None:
    """Whether what came out is whole.

    Raises:
        AssertionError: it is not.
    """
    for table in events.EVENT_TABLES:
        check_frame(table, trace[table.name])
    seqs = np.concatenate([frame["seq"].to_numpy() for frame in trace.tables.values() if "seq" in frame])
    assert np.unique(seqs).size == seqs.size <= trace.source.events
    assert sum(trace.source.event_counts.values()) <= trace.source.events
    for frame in trace.tables.values():
        if "seq" in frame and len(frame):
            assert (np.diff(frame["seq"]) > 0).all()
            assert (np.diff(frame["ts_ns"]) >= 0).all()
    if rng.random() < 0.02 and trace.decode_event is not None:
        for name in list(trace.source.event_counts)[:3]:
            trace.decode_event(name)


def read_one(reader: str, data: bytes, rng: random.Random, file: Path) -> bool:
    """Reads one mutated input to the end; whether it was decoded (else: refused).

    Raises:
        Exception: whatever a reader should not have raised.
    """
    try:
        match reader:
            case "evidence":
                parse_evidence(data.decode("utf-8", "replace"))
            case "perfetto":
                check_trace(read_perfetto(data), rng)
            case "text" | "packed" if rng.random() < 0.7:
                check_trace(read_text(data, process_dump=data if rng.random() < 0.1 else b""), rng)
            case _:
                file.write_bytes(data)
                check_trace(open_trace(file), rng)
    except (TraceError, UsageError) as error:
        if "expected" not in str(error) and "give" not in str(error):
            raise AssertionError(f"a message without a next step: {error}") from error
        return False
    return True


def unwrap(reader: str, data: bytes) -> bytes | None:
    """What of an input may be joined with others in one file; None where it is refused already."""
    try:
        if reader == "packed":
            return bytes(unwrap_text(data, "case").text)
        if reader == "perfetto":
            packets = read_packets(data, "case")
            index_bundles(packets, "case")
            return packets.buf[: len(packets.buf) if not packets.cut else 0].tobytes()
    except TraceError:
        return None
    return data


def run_batch(reader: str, numbers: Sequence[int], seed: int, file: Path) -> dict[str, int]:
    """Runs cases together where they can be; counts how they ended.

    Raises:
        AssertionError: a case that ended in another way, with its number.
    """
    joined: list[bytes] = []
    refused = 0
    for number in numbers:
        data = make_input(reader, case_random(seed, number))
        try:
            body = unwrap(reader, data)
        except Exception as error:
            raise AssertionError(f"reader {reader}, seed {seed}, case {number}: {error!r}") from error
        refused += body is None
        joined.append(body or b"")
    if len(numbers) > 1 and reader in ("text", "packed", "perfetto"):
        try:
            read_one(reader, (b"" if reader == "perfetto" else b"\n").join(joined), case_random(seed, numbers[0]), file)
            return {"ok": len(numbers) - refused, "refused": refused}
        except Exception:
            pass
    ended = {"ok": 0, "refused": 0}
    for number in numbers:
        rng = case_random(seed, number)
        try:
            ended["ok" if read_one(reader, make_input(reader, rng), rng, file) else "refused"] += 1
        except Exception as error:
            raise AssertionError(f"reader {reader}, seed {seed}, case {number}: {error!r}") from error
    return ended


def case_random(seed: int, number: int) -> random.Random:
    """The generator of one case."""
    return random.Random(seed << 32 | number)


def parse_evidence(text: str) -> None:
    """Every parser on one text; only an EvidenceError may come out."""
    lines = parse_logcat(text)
    parsers: Sequence[Callable[[], object]] = (
        lambda: parse_lock_stat(text), lambda: parse_framestats_polls(text), lambda: parse_gfxinfo(text),
        lambda: parse_am_starts(text), lambda: parse_smaps(text), lambda: parse_threads(text), lambda: parse_vmstat(text),
        lambda: parse_gc_lines(lines), lambda: parse_displayed(lines), lambda: parse_monitor_contention(lines),
        lambda: parse_results(lines),
    )  # fmt: skip
    for parse in parsers:
        try:
            parse()
        except EvidenceError:
            continue


def run_cases(reader: str, cases: Sequence[int], seed: int, folder: Path) -> dict[str, int]:
    """Runs the cases; counts how they ended.

    Raises:
        AssertionError: a case that ended in another way, with its number, or memory that grew.
    """
    ended = {"ok": 0, "refused": 0}
    before = 0
    signal.signal(signal.SIGALRM, _too_slow)
    for at in range(0, len(cases), BATCH):
        signal.setitimer(signal.ITIMER_REAL, CASE_SECONDS * BATCH if before else 600)  # the first one compiles
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                for key, count in run_batch(reader, cases[at : at + BATCH], seed, folder / "case").items():
                    ended[key] += count
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        before = before or _peak_bytes()
    grown = _peak_bytes() - before
    assert grown < MEMORY_BYTES, f"memory grew by {grown >> 20} MiB"
    return ended


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"a case took more than {CASE_SECONDS} s")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reader", choices=READERS, required=True)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="repeat one case")
    options = parser.parse_args()
    numbers = range(options.cases) if options.only is None else range(options.only, options.only + 1)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        try:
            ended = run_cases(options.reader, numbers, options.seed, Path(scratch))
        except AssertionError:
            traceback.print_exc()
            return 1
    sys.stdout.write(
        f"{options.reader}: {len(numbers)} cases in {time.monotonic() - start:.0f} s: {ended['ok']} decoded, "
        f"{ended['refused']} refused; peak {_peak_bytes() >> 20} MiB\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
