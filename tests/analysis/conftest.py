"""What the tests of the statistics share."""

from hypothesis import settings

# A loaded machine is slow now and then; that is no failure of a law.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
