"""The part of the API that flags make up; the modules with its views hang them in here."""

from flask_openapi3 import APIBlueprint, Tag

FLAGS = Tag(name="Flags", description="What is served to whom, in which environment.")
ENVIRONMENTS = Tag(name="Environments", description="Places with their own state of every flag.")
CONNECTIONS = Tag(name="Connections", description="Public client keys of SDKs.")
GROUPS = Tag(name="Saved groups", description="Lists and conditions that rules refer to.")

bp = APIBlueprint("flags_api", __name__, url_prefix="/api/v1")
