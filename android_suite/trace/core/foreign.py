"""Recognizes files that are not kernel traces by their content, and names the next step for the user."""

from __future__ import annotations

import re

KNOWN = "a run directory, trace.dat, ftrace or systrace text or html, atrace -z output or a Perfetto trace"
_GIVE = f"give {KNOWN}"
_SAMPLES = (
    "samples name no lock holder; record sched, syscall and mmap_lock events with trace-cmd, Perfetto or "
    "`android-suite record`"
)
_UNPACK = "unpack it and give the trace inside"
_METHODS = "it shows Java methods, not the kernel; record with Perfetto, System Tracing or `android-suite record`"
_HEAP = "it shows memory, not time; record with Perfetto, System Tracing or `android-suite record`"
_CONVERT_CTF = "record with `trace-cmd record` or Perfetto instead, or write the events as ftrace text"

# First bytes of a file -> what it is, and what to do.
_MAGICS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG", "a PNG picture", _GIVE),
    (b"\xff\xd8\xff", "a JPEG picture", _GIVE),
    (b"GIF8", "a GIF picture", _GIVE),
    (b"RIFF", "a RIFF file (picture, sound or video)", _GIVE),
    (b"OggS", "an Ogg file", _GIVE),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video", _GIVE),
    (b"\x7fELF", "a program (ELF)", _GIVE),
    (b"MZ", "a Windows program", _GIVE),
    (b"dex\n", "Android bytecode (dex)", _GIVE),
    (b"\xca\xfe\xba\xbe", "a Java class or a macOS program", _GIVE),
    (b"%PDF", "a PDF document", _GIVE),
    (b"\xd0\xcf\x11\xe0", "an old Office document", _GIVE),
    (b"SQLite format 3", "an SQLite database", _GIVE),
    (b"ANDROID!", "an Android boot image", _GIVE),
    (b"PAR1", "a Parquet table", "give the trace or run directory it was made from"),
    (b"ARROW1", "an Arrow table", "give the trace or run directory it was made from"),
    (b"bplist00", "an Apple property list", _GIVE),
    (b"\xd4\xc3\xb2\xa1", "a network capture (pcap)", _GIVE),
    (b"\xa1\xb2\xc3\xd4", "a network capture (pcap)", _GIVE),
    (b"\x0a\x0d\x0d\x0a", "a network capture (pcapng)", _GIVE),
    (b"MDMP", "a Windows minidump", _GIVE),
    (b"PERFILE2", "a perf.data file (perf or simpleperf)", _SAMPLES),
    (b"2ELIFREP", "a perf.data file (perf or simpleperf)", _SAMPLES),
    (b"PERFFILE", "a perf.data file (perf)", _SAMPLES),
    (b"SIMPLEPERF", "a simpleperf report", _SAMPLES),
    (b"JAVA PROFILE", "a heap dump (hprof)", _HEAP),
    (b"*version", "an Android method trace", _METHODS),
    (b"SLOW", "an Android method trace", _METHODS),
    (b"\xc1\x1f\xfc\xc1", "a stream of a CTF trace (LTTng)", _CONVERT_CTF),
    (b"\xc1\xfc\x1f\xc1", "a stream of a CTF trace (LTTng)", _CONVERT_CTF),
    (b"\x57\x1d\xd1\x75", "the metadata of a CTF trace (LTTng)", _CONVERT_CTF),
    (b"\x75\xd1\x1d\x57", "the metadata of a CTF trace (LTTng)", _CONVERT_CTF),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x04\x22\x4d\x18", "packed with lz4", "unpack it with `lz4 -d` and give the trace inside"),
    (b"\x02\x21\x4c\x18", "packed with lz4", "unpack it with `lz4 -d` and give the trace inside"),
    (b"\x1f\x9d", "packed with compress", "unpack it with `uncompress` and give the trace inside"),
)
_WINSCOPE = re.compile(rb"\x09[A-Z]{8}[^\t\n\r -~]")
_PPROF = re.compile(rb"\x0a[\x02-\x0c][\x08\x10]")  # sample_type; no Perfetto packet begins like this
_JSON = re.compile(rb"\s*(\{\s*[\"}]|\[\s*[{\"\]\[])")

# A pattern in a text -> what the text is, and what to do; the first match counts.
_TEXTS: tuple[tuple[re.Pattern[bytes], str, str], ...] = tuple(
    (re.compile(pattern, re.MULTILINE), what, step)
    for pattern, what, step in (
        (rb"\A\s*/\* CTF 1\.|^typealias integer \{", "the metadata of a CTF trace (LTTng)", _CONVERT_CTF),
        (rb"^\[[\d:. -]{8,40}\] \(\+[\d.?]+\) ", "the text of a CTF trace (babeltrace, LTTng)", _CONVERT_CTF),
        (rb"\A\s*(<\?xml[^>]*>\s*)?<trace-query-result", "a table exported by Instruments", _GIVE),
        (rb"\A\s*(<\?xml[^>]*>\s*)?<!DOCTYPE plist|\A\s*(<\?xml[^>]*>\s*)?<plist", "an Apple property list", _GIVE),
        (rb"\A\s*<\?xml", "an XML document", _GIVE),
        (rb"^(Attaching|Attached) \d+ probes?", "the output of bpftrace", "record the events with trace-cmd or Perfetto instead"),
        (
            rb"^ *\d+\.\d{3} \( *(\d+\.\d+)? *(ms)?( *\))?: ", "the output of perf trace",
            "record the events with trace-cmd or Perfetto instead",
        ),
        (
            rb"^\s*\S.{0,32}\s+\d+(/\d+)?\s+(\[\d{3,4}\]\s+)?\d+\.\d{6,9}:\s+\S", "the output of perf script",
            "record the same events with `trace-cmd record` or Perfetto and give that file",
        ),
        (
            rb"^(\[pid +\d+\] |\d+ +)?([\d:.]{8,20} )?\w{2,30}\(.{0,400}\) += (-?\d|0x|\?)", "the output of strace",
            "strace sees no lock and no scheduling; record with trace-cmd or Perfetto",
        ),
        (rb"^={5,}\r?\n== dumpstate", "the text of a bug report", "give the bugreport.zip, or the trace"),
        (rb"^-{5} pid \d+ at ", "a dump of Java stacks (ANR)", _GIVE),
        (
            rb"^-{9} beginning of |^\d\d-\d\d \d\d:\d\d:\d\d\.\d+ +\d+ +\d+ [VDIWEFA] |^[VDIWEF]/[^(]{1,60}\( *\d+\): ",
            "a log (logcat)",
            "a log has no scheduling and no locks; record with Perfetto, System Tracing or `android-suite record`",
        ),
        (
            rb"^(<\d+>)?\[ *\d+\.\d{6}\]", "a kernel log without events of ftrace in it",
            "set kernel.ftrace_dump_on_oops, or give the trace file",
        ),
        (rb"^lock_stat version ", "lock_stat of the kernel", "it is read as part of a run directory; give that or a trace"),
        (rb"^Cmdline: .*simpleperf|^# Samples: ", "a report of perf or simpleperf", _SAMPLES),
        (rb"^Applications Graphics Acceleration Info|^DUMP OF SERVICE ", "the output of dumpsys", _GIVE),
    )
)  # fmt: skip


def name_binary(head: bytes) -> tuple[str, str] | None:
    """What a binary file that begins with ``head`` is, and the next step; None if it is not recognized."""
    for magic, what, step in _MAGICS:
        if head.startswith(magic):
            return what, step
    if head[4:8] == b"ftyp":
        return "a video or picture (MP4, HEIF)", _GIVE
    if _WINSCOPE.match(head):
        return "a Winscope trace", "it shows windows and layers; record with Perfetto or `android-suite record`"
    if _PPROF.match(head):
        return "a profile (pprof, heapprofd)", _HEAP
    if ".etl".encode("utf-16-le") in head or "NT Kernel Logger".encode("utf-16-le") in head:
        return "a Windows event trace (ETL)", _GIVE
    return None


def name_document(head: bytes) -> tuple[str, str] | None:
    """What a JSON document that begins with ``head`` is, and the next step; None if it is not JSON."""
    if not _JSON.match(head):
        return None
    made_from = "give the trace it was made from: Perfetto, systrace html, ftrace text or trace.dat"
    if b'"traceEvents"' in head or re.search(rb'"ph"\s*:', head):
        return "a JSON trace (Chrome's trace event format)", made_from
    if b"kshark.config" in head:
        return "a KernelShark session (JSON)", "give the trace.dat that it names"
    if b"android-suite/" in head:
        return (
            "a result of android-suite (JSON)",
            "give it to `android-suite report`, or give the trace it was made from",
        )
    if b'"preprocessedProfileVersion"' in head or (b'"meta"' in head and b'"stackwalk"' in head):
        return "a Firefox profile (JSON)", _SAMPLES
    if b'"$schema": "https://www.speedscope.app' in head:
        return "a speedscope profile (JSON)", _SAMPLES
    return "a JSON document", made_from


def name_text(head: bytes) -> tuple[str, str] | None:
    """What a text without ftrace events is, and the next step, by its lines; None if it is not recognized."""
    for pattern, what, step in _TEXTS:
        if pattern.search(head):
            return what, step
    return None
