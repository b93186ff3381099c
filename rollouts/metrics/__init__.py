"""The catalogue: what is counted, per which unit, which way is good."""
