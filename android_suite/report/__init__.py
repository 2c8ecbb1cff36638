"""The model to html, junit, markdown, json and terminal. Computes no number.

Import the one that is needed: charts take half a second to load, and the terminal needs none.
"""
