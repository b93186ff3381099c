"""Pure statistics: sums per variation in, effects and findings out.

Nothing here knows the service, Flask or a database, so all of it works in a notebook.
"""
