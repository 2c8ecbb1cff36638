"""Renders the report model as HTML, JUnit XML, Markdown, JSON and terminal text. Computes no number.

Import only the renderer you need: charts take half a second to load, and the terminal needs none.
"""
