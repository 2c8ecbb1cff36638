"""What the suite costs: throughput and memory of its readers and analysis, and the power of its statistics."""
