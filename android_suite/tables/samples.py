"""The table of samples that comparisons use: one row per measured value, with the boot it came from."""

from __future__ import annotations

from android_suite.tables.schema import Column, Table

QUALITIES = ("exact", "lower_bound", "unknown")

SAMPLES = Table(
    name="samples",
    doc="Values of metrics. Rows of one boot are correlated: the boot is the unit of comparison.",
    columns=(
        Column("label", "str", "", "the kernel's label in the experiment"),
        Column("kernel", "str", "", "its release"),
        Column("boot", "str", "", "which boot"),
        Column("seed", "int64", "", "seed of the workload, -1 for none"),
        Column("scenario", "str", "", "what ran"),
        Column("iteration", "int64", "", "index of the iteration in its run directory"),
        Column("sample", "int64", "", "index of the value within metric and iteration"),
        Column("traced", "bool", "", "whether tracing was on; the difference is the cost of tracing"),
        Column("metric", "str", "", "name in the metric catalogue"),
        Column("unit", "str", "", "unit of value"),
        Column("better", "str", "", "lower, higher or none"),
        Column("value", "float64", "metric", "the value; NaN where unknown"),
        Column("quality", "str", "", "exact, lower_bound or unknown"),
        Column("reason", "str", "", "why it is not exact, and what to enable; empty where it is"),
        Column(
            "censored",
            "bool",
            "",
            "the launch failed: its time is longer than ``value`` (the limit it was given; NaN where there is none)",
        ),
    ),
)
