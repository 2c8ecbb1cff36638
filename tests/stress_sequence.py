"""What the stress class allocates, on a JVM, on ART and in the model of the virtual device."""

from __future__ import annotations


def expect_mixed(seed: int, steps: int) -> tuple[int, str]:
    """Bytes and digest of a stream, told again from its definition: splitmix64, sizes, slots."""
    mask = 2**64 - 1
    state, total, digest = seed, 0, 0
    for _ in range(steps):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        z ^= z >> 31
        kind, fine = (z >> 33) & 15, (z >> 40) & 0xFFFFFF
        size = 16 + (fine & 0xFFF) if kind < 12 else 16384 + (fine & 0x7FFF) if kind < 15 else 262144
        slot = (z >> 3) & 255 if z & 7 == 0 else -1
        total += size
        digest = (digest * 31 + size * 257 + slot) & mask
    return total, f"{digest:x}"
