"""Bytes to tables: every trace format the suite reads, and the ones it writes."""
