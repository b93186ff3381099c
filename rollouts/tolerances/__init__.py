"""What harm the organisation tolerates; each rollout locks its own copy."""
