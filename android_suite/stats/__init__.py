"""Statistics: resampling, tests, equivalence, correction, power. Knows nothing about Android."""
