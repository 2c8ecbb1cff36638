"""Options, fixtures and hooks for pytest."""
