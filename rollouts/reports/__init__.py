"""Pages and charts, read from snapshots only."""
