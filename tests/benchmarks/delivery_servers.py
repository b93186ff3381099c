"""What delivery is measured against: the same answers given in plainer ways, by the same server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

from flask import Flask, Response

from tests.benchmarks.evaluation_speed import make_payload
from tests.rollouts.flags.sdk import Sdk

HEADERS = [(b"content-type", b"application/json")]


def serialising() -> Flask:
    """A Flask view that turns the payload into JSON for each request."""
    app = Flask(__name__)
    payload = make_payload()

    @app.get("/payload")
    def show() -> Response:
        return Response(json.dumps(payload), content_type="application/json")

    return app


def sdk_engine() -> Any:
    """Remote evaluation and OFREP's bulk form by the SDK's own engine, on the same server."""
    payload = make_payload()
    sdk, keys = Sdk(payload), list(payload["features"])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = json.loads((await receive())["body"])
        if scope["path"].startswith("/api/eval/"):
            answer = _remote(sdk, keys, body["attributes"])
        else:
            answer = _ofrep(sdk, keys, body["context"])
        raw = json.dumps(answer).encode()
        headers = [*HEADERS, (b"content-length", str(len(raw)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": raw})

    return app


def _remote(sdk: Sdk, keys: list[str], attributes: dict[str, Any]) -> dict[str, Any]:
    found = sdk.evaluate_all(keys, attributes)
    features = {}
    for key, result in found.items():
        features[key] = {"defaultValue": result.value}
        if result.experiment is not None and result.experimentResult is not None:
            track = {
                "experiment": result.experiment.to_dict(),
                "result": result.experimentResult.to_dict(),
            }
            features[key]["rules"] = [{"force": result.value, "tracks": [track]}]
    return {"features": features, "experiments": []}


def _ofrep(sdk: Sdk, keys: list[str], context: dict[str, Any]) -> dict[str, Any]:
    found = sdk.evaluate_all(keys, {**context, "id": context["targetingKey"]})
    return {
        "flags": [
            {"key": key, "value": result.value, "reason": "STATIC", "variant": result.ruleId}
            for key, result in found.items()
        ]
    }


class Beacon:
    """The least an asynchronous server can do: write the same bytes to every open stream."""

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self._writers: list[asyncio.StreamWriter] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # somebody only looked whether we are here
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        writer.write(self._frame)
        self._writers.append(writer)

    def _tell(self) -> None:
        for writer in self._writers:
            writer.write(self._frame)

    async def run(self, port: int) -> None:
        """Serve; write the frame to all at each SIGUSR1."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._tell)
        server = await asyncio.start_server(self._serve, "127.0.0.1", port, backlog=4096)
        await server.serve_forever()


def unchanged() -> Any:
    """A 304 as soon as it is asked for anything."""
    headers = [(b"etag", b'"x"'), (b"cache-control", b"public, max-age=30")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

    return app


if __name__ == "__main__":
    beacon = Beacon(Path(os.environ["FRAME"]).read_bytes())
    asyncio.run(beacon.run(int(os.environ["PORT"])))
