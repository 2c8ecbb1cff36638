"""Parsers of device output into tables: lock_stat, framestats, am start, logcat, vmstat."""
