"""Tables to tables: pure functions that turn events into waits, holds, inversions, frames, launches and GCs."""
