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
_PERF = "record the same events with `trace-cmd record` or Perfetto and give that file"
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
    (b"\x1e{", "the metadata of a CTF 2 trace (LTTng)", _CONVERT_CTF),
    (b"go 1.", "an execution trace of Go", _GIVE),
    (b"FLR\0", "a recording of Java Flight Recorder", _METHODS),
    (b"Ftrace!\0", "a uftrace recording", "it shows functions of one program; record with trace-cmd or Perfetto"),
    (b"\x5d\0\0", "packed with lzma", "unpack it with `xz -d --format=lzma` and give the trace inside"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x04\x22\x4d\x18", "packed with lz4", "unpack it with `lz4 -d` and give the trace inside"),
    (b"\x02\x21\x4c\x18", "packed with lz4", "unpack it with `lz4 -d` and give the trace inside"),
    (b"\x1f\x9d", "packed with compress", "unpack it with `uncompress` and give the trace inside"),
)
_WINSCOPE = re.compile(rb"\x09[A-Z]{8}[^\t\n\r -~]")
_PPROF = re.compile(rb"\x0a[\x02-\x0c][\x08\x10]")  # sample_type; no Perfetto packet begins like this
_JSON = re.compile(rb"\s*(\{\s*[\"}]|\[\s*,?\s*[{\"\]\[])")

_PERF_SCRIPT = (  # COMM PID[/TID] [CPU] [FLAGS] [TIME:] [PERIOD] EVENT:
    rb"^[ \t]*\S.{0,32}[ \t]+-?\d+(/-?\d+)?[ \t]+((\[\d{3,4}\] +)?([A-Za-z.#][\w.#]{2,8} +)?\d+\.\d{6,9}: +\S"
    rb"|\[\d{3,4}\] +\w+:\w+: |(\d+ +)?(cycles|instructions|cpu-clock|task-clock)\S{0,9}:)"
)
_LOGCAT = (
    rb"^-{9} beginning of "
    rb"|^ *((\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d|\d{1,10})\.\d{3,9}( [+-]\d{4})?( +\w+)?? +\d+ +\d+ [VDIWEFA] "
    rb"|^((\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d\.\d+ +)?[VDIWEF]/[^(\n]{1,60}\( *\d+\): "
)

# A pattern in a text -> what the text is, and what to do; the first match counts.
_TEXTS: tuple[tuple[re.Pattern[bytes], str, str], ...] = tuple(
    (re.compile(pattern, re.MULTILINE), what, step)
    for pattern, what, step in (
        (
            rb"\A\s*/\* CTF 1\.|^typealias integer \{|\A\s*(trace|env|clock|stream|event) \{\s*$",
            "the metadata of a CTF trace (LTTng)", _CONVERT_CTF,
        ),
        (
            rb"^\[[\d:. -]{8,40}\] \(\+[\d.?]+\) |^timestamp = .{1,60}, (delta = .{1,40}, )?name = ",
            "the text of a CTF trace (babeltrace, LTTng)", _CONVERT_CTF,
        ),
        (rb"\A\s*(<\?xml[^>]*>\s*)?<trace-query-result", "a table exported by Instruments", _GIVE),
        (rb"\A\s*(<\?xml[^>]*>\s*)?<!DOCTYPE plist|\A\s*(<\?xml[^>]*>\s*)?<plist", "an Apple property list", _GIVE),
        (rb"\A\s*<\?xml", "an XML document", _GIVE),
        (rb"\A\s*(packet|clock_snapshot) \{\s*$", "a Perfetto trace as text", "give the .pftrace it was made from"),
        (
            rb"\A\s*(#[^\n]*\n\s*)*(buffers ?:? \{|data_sources ?:? \{|duration_ms ?:|write_into_file ?:|fill_policy ?:)",
            "a configuration for Perfetto", "record with it (`perfetto --txt -c FILE -o trace`) and give the trace",
        ),
        (
            rb"^(Attaching|Attached) \d+ probes?|^@\w*(\[[^\]]{0,200}\])?: *(\d+|\r?)$", "the output of bpftrace",
            "record the events with trace-cmd or Perfetto instead",
        ),
        (
            rb"^ *\d+\.\d{3} \( *(\d+\.\d+)? *(ms)?( *\))?: ", "the output of perf trace",
            "record the events with trace-cmd or Perfetto instead",
        ),
        (
            _PERF_SCRIPT, "the output of perf script", _PERF,
        ),
        (
            rb"^ *(Task +\| +Runtime ms|time +cpu +task name +wait time|contended +total wait|Performance counter stats for)",
            "a report of perf (sched, lock or stat)", _PERF,
        ),
        (
            rb"\A\S[^\n;]{0,400};[^\n]{0,3000} \d+\r?\n", "folded stacks of a profile (flame graph)", _SAMPLES,
        ),
        (
            rb"^(\[pid +\d+\] |\d+ +)?([\d:.]{8,20} )?\w{2,30}\(.{0,400}(\) += (-?\d|0x|\?)|<unfinished \.\.\.>)",
            "the output of strace",
            "strace sees no lock and no scheduling; record with trace-cmd or Perfetto",
        ),
        (rb"^={5,}\r?\n== dumpstate", "the text of a bug report", "give the bugreport.zip, or the trace"),
        (rb"^-{5} pid \d+ at |^Subject: ANR in |^ANR in \w+\.", "a dump of Java stacks (ANR)", _GIVE),
        (rb"^(\*\*\* ){5}", "a tombstone (a native crash)", _GIVE),
        (
            _LOGCAT,
            "a log (logcat)",
            "a log has no scheduling and no locks; record with Perfetto, System Tracing or `android-suite record`",
        ),
        (
            rb"^(<\d+>)?\[ *\d+\.\d{6}\]", "a kernel log without events of ftrace in it",
            "set kernel.ftrace_dump_on_oops, or give the trace file",
        ),
        (rb"^lock_stat version ", "lock_stat of the kernel", "it is read as part of a run directory; give that or a trace"),
        (
            rb"^Cmdline: .*simpleperf|^# Samples: |\A\s*sample:\s*\n +event_type: |\A *magic: PERFILE2",
            "a report of perf or simpleperf",
            _SAMPLES,
        ),
        (
            rb"^Applications (Graphics Acceleration Info|Memory Usage)|^DUMP OF SERVICE |^(ACTIVITY|WINDOW) MANAGER .*\(dumpsys",
            "the output of dumpsys", _GIVE,
        ),
        (rb"\Aname: \S+\r?\nID: \d+\r?\nformat:", "the format of an event, not events", _GIVE),
        (rb"\A(\w+:\w+\r?\n){2}", "a list of events (available_events), not a trace", _GIVE),
        (rb"\A\"?[A-Za-z_][\w. ]*\"?([,\t]\"?[A-Za-z_][\w. ]*\"?){2,}\r?\n", "a table (CSV)", _GIVE),
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


def is_document(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a JSON document."""
    return _JSON.match(head) is not None


def name_document(head: bytes) -> tuple[str, str] | None:
    """What a JSON document that begins with ``head`` is, and the next step; None if it is not JSON."""
    if not is_document(head):
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
    if b"https://www.speedscope.app" in head:
        return "a speedscope profile (JSON)", _SAMPLES
    if b'"callFrame"' in head:
        return "a CPU profile of V8 (JSON)", _SAMPLES
    return "a JSON document", made_from


def name_text(head: bytes) -> tuple[str, str] | None:
    """What a text without ftrace events is, and the next step, by its lines; None if it is not recognized."""
    for pattern, what, step in _TEXTS:
        if pattern.search(head):
            return what, step
    return None
