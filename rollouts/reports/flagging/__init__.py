"""What the pages of flags, saved groups and their upkeep show."""
