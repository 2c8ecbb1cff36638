"""Prints events of ring-buffer pages as text, one line per event like trace-cmd, for `export --text`."""
