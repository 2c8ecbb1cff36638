"""Who is to blame for a wait: through locks, monitors, futexes and binder calls to the thread at the end of the chain."""
