"""Text that a device printed to tables: lock_stat, framestats, am start, logcat, vmstat."""
