"""How Flask turns what views return into JSON: in the service's own form."""

from __future__ import annotations

from typing import Any

from flask.json.provider import JSONProvider

from rollouts.web import json_bytes


class Provider(JSONProvider):
    """What views return as plain values goes out in the same form: times as ISO 8601."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """Encode; keyword arguments of the standard library's encoder mean nothing here."""
        return json_bytes.dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Decode what somebody sent. Raises Malformed."""
        return json_bytes.loads(s.encode() if isinstance(s, str) else s)
