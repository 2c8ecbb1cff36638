"""Decodes traces of every supported format into event tables, and writes traces."""
