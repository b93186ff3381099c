"""The report on a file that somebody already has: from the command line, the API or a page."""
