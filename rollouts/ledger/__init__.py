"""Journal to per-unit totals and sums, by offset."""
