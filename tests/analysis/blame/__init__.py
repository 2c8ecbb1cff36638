"""Tests of the locks room."""
