"""Events of ring-buffer pages as text, a line an event as trace-cmd prints them: `export --text`."""
