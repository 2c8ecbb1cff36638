"""Numbers to results: resampling, tests, equivalence, correction, power. Knows nothing of Android."""
