"""The blueprint that people and keys share."""

from flask_openapi3 import APIBlueprint, Tag

bp = APIBlueprint(
    "accounts_api",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="Access", description="People, API keys, write keys, and who you are.")],
)
