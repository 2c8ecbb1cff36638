"""The metrics of one analysis: the numbers by which kernels are compared."""
