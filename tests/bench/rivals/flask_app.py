"""Plain Flask with redis-py as it comes, for gunicorn's sync and gthread workers."""

import datetime
import json

import redis
from flask import Flask, Response, jsonify, request

from tests.bench.rivals import common

app = Flask(__name__)
client = redis.Redis(unix_socket_path=common.SOCKET, decode_responses=True)
script = client.register_script(common.SCRIPT)


@app.get("/api/v1/products")
def products() -> Response:
    """The listing, read from Redis each time."""
    return jsonify(common.page(client.hgetall("catalog"), client.hgetall("stock")))


@app.post("/api/v1/checkout")
def checkout() -> Response:
    """The same script as the store's."""
    body = request.get_data()
    json.loads(body)
    now = datetime.datetime.now(datetime.UTC).isoformat()
    token, key = request.cookies["store_session"], request.headers["Idempotency-Key"]
    reply = script(*common.checkout(token, key, body, now))
    return Response(reply[1], 201 if reply[0] in ("placed", "replayed") else 409, mimetype="application/json")
