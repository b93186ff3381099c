"""Runs the analysis for a rollout and stores immutable snapshots."""
