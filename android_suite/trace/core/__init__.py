"""What every trace format shares: compiled loops, growing tables, mapped files, unpacking, event formats."""
