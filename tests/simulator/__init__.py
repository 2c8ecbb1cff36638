"""A small simulator of CPUs, priorities, preemption and a rwsem, which knows the exact answer to what it traces."""
