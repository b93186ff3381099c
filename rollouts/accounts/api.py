"""Access over HTTP; the routes stand in the two modules that are imported here."""

from rollouts.accounts import keys_api, people_api
from rollouts.accounts.blueprint import bp

__all__ = ["bp", "keys_api", "people_api"]
