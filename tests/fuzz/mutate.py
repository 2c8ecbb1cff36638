"""Faults that any bytes and any text can have; each is counted under its name."""

from __future__ import annotations

from tests.fuzz.engine import Case

NUMBERS = (
    0, 1, 2, 3, 4, 5, 7, 8, 29, 30, 31, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xC0000000,
    0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF,
)  # fmt: skip
WORDS = (
    b"prev_pid=", b" ==> ", b"[000]", b"[LOST 3 EVENTS]", b"CPU:0 ", b"\n", b"-1", b"99999999999999999999",
    b"0x", b"ffffffffffffffffff", b"(-----)", b"<...>-", b": ", b"  ", b"\t", b"\0", b"\xff\xfe", b"=", b"]",
    b"# entries-in-buffer/entries-written: 1/99999 #P:4096\n", b"4194304", b"4194305", b"9000000000.000000:",
    b"0.0:", b"%", b"sys_enter_madvise: ", b"function <-parent", b"18446744073709551615",
    b"---PROFILEDATA---\n", b"Flags,", b"lock_stat version 0.4\n", b"9223372036854775807", b"result part 2/3 ",
    b"{", b"ms", b"-W:", b"----\n",
)  # fmt: skip


def mutate(case: Case, data: bytes, other: bytes = b"") -> bytes:
    """One to four faults.

    Args:
        case: gives the random numbers.
        data: whole.
        other: a different input, to splice from; empty: from ``data`` itself.
    """
    rng = case.rng
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not out:
            break
        at = rng.randrange(len(out))
        # Headers are small and matter most.
        if rng.random() < 0.4:
            at = min(at, rng.choice((64, 512, 8192)) - 1) % len(out)
        kind = rng.choice(("flip", "byte", "number", "number", "cut", "splice", "repeat", "hole", "zeros"))
        case.drawn[kind] += 1
        match kind:
            case "flip":
                out[at] ^= 1 << rng.randrange(8)
            case "byte":
                out[at] = rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case "number":
                size = rng.choice((2, 4, 8))
                at -= at % 4
                number = rng.choice((*NUMBERS, len(data), rng.getrandbits(32)))
                out[at : at + size] = (number & (1 << 8 * size) - 1).to_bytes(size, rng.choice(("little", "big")))
            case "cut":
                del out[at:]
            case "splice":
                source = other or bytes(out)
                start, length = rng.randrange(len(source)), rng.choice((1, 4, 100, 5000))
                out[at : at + length] = source[start : start + length]
            case "repeat":
                start, length = rng.randrange(len(out)), rng.choice((4, 64, 1024, 4096))
                out[at:at] = out[start : start + length] * rng.choice((1, 1, 3))
            case "hole":
                del out[at : at + rng.choice((1, 4, 64, 4096))]
            case _:
                out[at:at] = bytes(rng.choice((1, 4, 64, 4096)))
    return bytes(out)


def mutate_text(case: Case, data: bytes, other: bytes = b"") -> bytes:
    """Faults a text is prone to, or those of any bytes."""
    rng = case.rng
    if rng.random() < 0.4:
        return mutate(case, data, other)
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(out) + 1)
        kind = rng.choice(("word in", "word over", "words", "lines shuffled", "word out"))
        case.drawn[kind] += 1
        match kind:
            case "word in":
                out[at:at] = rng.choice(WORDS)
            case "word over":
                word = rng.choice(WORDS)
                out[at : at + len(word)] = word
            case "words":
                out[at:at] = rng.choice(WORDS) * rng.choice((10, 300))
            case "lines shuffled":
                lines = bytes(out).split(b"\n")
                rng.shuffle(lines)
                out = bytearray(b"\n".join(lines))
            case _:
                end = out.find(b" ", at)
                del out[at : end if end > 0 else at + 1]
    return bytes(out)


def first_difference(whole: bytes, broken: bytes) -> int:
    """Bytes that both begin with."""
    low, high = 0, min(len(whole), len(broken))
    while low < high:
        middle = (low + high + 1) // 2
        if whole[low:middle] == broken[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
