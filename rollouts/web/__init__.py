"""Shared by views: problem+json, who may call, paging, the base page."""
