"""One row per kernel: the same scenarios on each of Debian's releases, in virtual time."""
