"""Pure functions that turn event tables into waits, holds, inversions, frames, launches and GCs."""
