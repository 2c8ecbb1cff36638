"""Tests of android_suite.analysis."""
