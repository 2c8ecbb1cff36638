"""MmapLock: waits, holds, who stood in front of whom, and which of that is priority inversion."""
