"""The run directory: layout, manifest, create, seal, open. The only code that knows its file names."""
