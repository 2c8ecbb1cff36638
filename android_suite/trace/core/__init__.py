"""Code shared by all trace formats: compiled loops, growing tables, mapped files, unpacking, event formats."""
