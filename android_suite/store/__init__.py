"""The run directory: layout, manifest, create, seal, open. No other package knows its file names."""
