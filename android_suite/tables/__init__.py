"""Declared tables: name, dtype, unit, one line per column."""
