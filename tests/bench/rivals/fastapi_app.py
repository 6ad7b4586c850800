"""FastAPI with redis-py's asyncio client, for uvicorn with uvloop and httptools."""

import datetime
from typing import Annotated, Any

from fastapi import Cookie, FastAPI, Header, Request, Response
from pydantic import BaseModel, ConfigDict
from redis import asyncio as redis

from tests.bench.rivals import common

app = FastAPI()
client = redis.Redis(unix_socket_path=common.SOCKET, decode_responses=True)
script = client.register_script(common.SCRIPT)


class Item(BaseModel):
    """One product."""

    sku: str
    name: str
    description: str
    category: str
    price_cents: int
    currency: str
    stock: int
    image: str


class Page(BaseModel):
    """A listing."""

    items: list[Item]
    next: str | None


class Checkout(BaseModel):
    """An empty body is enough."""

    model_config = ConfigDict(extra="forbid")
    expected_total_cents: int | None = None


@app.get("/api/v1/products")
async def products() -> Page:
    """The listing, read from Redis each time."""
    page: Any = common.page(await client.hgetall("catalog"), await client.hgetall("stock"))
    return Page(**page)


@app.post("/api/v1/checkout")
async def checkout(
    body: Checkout,
    request: Request,
    store_session: Annotated[str, Cookie()],
    idempotency_key: Annotated[str, Header()],
) -> Response:
    """The same script as the store's."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    keys, args = common.checkout(store_session, idempotency_key, await request.body(), now)
    reply = await script(keys, args)
    status = 201 if reply[0] in ("placed", "replayed") else 409
    return Response(reply[1], status, media_type="application/json")
