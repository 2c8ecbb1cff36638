"""trace.dat, as trace-cmd writes it: reader and writer."""
