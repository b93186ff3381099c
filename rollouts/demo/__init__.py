"""The demo: simulated customers, the real service, and nothing but HTTP in between."""
