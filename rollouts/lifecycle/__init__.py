"""The rollout: variations, ramp of stages, locked plan, states."""
