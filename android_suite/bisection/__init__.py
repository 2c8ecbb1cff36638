"""Finds the first of many changes that moved a metric: of a patch series, of a git range, or of Debian's releases."""
