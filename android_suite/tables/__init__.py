"""Declared tables: name, dtype, unit, one line a column."""
