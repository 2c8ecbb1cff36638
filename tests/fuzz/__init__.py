"""Broken input into every reader: a correct result or a refusal that helps, never anything else."""
