"""The model to html, junit, markdown, json and terminal. Computes no number."""
