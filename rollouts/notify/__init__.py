"""Outbox to webhooks and Apprise."""
