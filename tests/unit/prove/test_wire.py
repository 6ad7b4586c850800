"""The connection asks once and tells what goes wrong; no socket is opened here."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from kubestore.prove.wire import Connection, Dropped, parse

OK = b"HTTP/1.1 200 OK\r\nX-Store-Version: v7\r\nContent-Length: 2\r\nSet-Cookie: s=1; HttpOnly\r\n\r\nhi"


class FakeTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        """Keep it."""
        self.sent.append(bytes(data))

    def close(self) -> None:
        """Remember it."""
        self.closed = True


def played(script: Callable[[Connection, FakeTransport], Coroutine[Any, Any, Any]]) -> Any:
    """Run a script against a connected connection."""

    async def run() -> Any:
        connection, transport = Connection(), FakeTransport()
        connection.connection_made(transport)
        return await script(connection, transport)

    return asyncio.run(run())


def test_an_answer_is_read_with_status_version_and_cookie() -> None:
    answer = parse(OK, ended=False)
    assert answer is not None
    assert (answer.status, answer.version, answer.cookie, answer.close, answer.body) == (
        200,
        "v7",
        "s=1",
        False,
        b"hi",
    )


@pytest.mark.parametrize("length", range(len(OK)))
def test_a_part_of_an_answer_is_not_an_answer(length: int) -> None:
    assert parse(OK[:length], ended=True) is None


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall"
    assert parse(head, ended=False) is None
    answer = parse(head, ended=True)
    assert answer is not None
    assert answer.body == b"all"


def test_an_answer_without_a_length_on_an_open_connection_is_an_error() -> None:
    with pytest.raises(Dropped, match="without Content-Length"):
        parse(b"HTTP/1.1 200 OK\r\n\r\n", ended=False)


def test_a_reused_connection_that_the_server_closed_is_a_failure_and_sent_once() -> None:
    async def script(connection: Connection, transport: FakeTransport) -> list[bytes]:
        for reply in (OK, None):
            asking = asyncio.ensure_future(connection.ask(b"GET", b"", 1))
            await asyncio.sleep(0)
            if reply:
                connection.data_received(reply)
                assert (await asking).status == 200
            else:
                connection.connection_lost(None)
                with pytest.raises(Dropped, match="closed by the server before an answer, after 1 answers"):
                    await asking
        return transport.sent

    assert played(script) == [b"GET", b"GET"]


def test_an_answer_that_is_cut_off_is_a_failure() -> None:
    async def script(connection: Connection, _: FakeTransport) -> None:
        asking = asyncio.ensure_future(connection.ask(b"GET", b"", 1))
        await asyncio.sleep(0)
        connection.data_received(OK[:-1])
        connection.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
        with pytest.raises(Dropped, match="reset by peer in the middle of an answer, on a new connection"):
            await asking

    played(script)


def test_no_answer_in_time_is_a_failure_and_closes() -> None:
    async def script(connection: Connection, transport: FakeTransport) -> bool:
        with pytest.raises(Dropped, match="no answer in"):
            await connection.ask(b"GET", b"", 0.01)
        return transport.closed and not connection.usable

    assert played(script)


def test_a_connection_that_the_server_ends_is_not_used_again() -> None:
    async def script(connection: Connection, _: FakeTransport) -> bool:
        asking = asyncio.ensure_future(connection.ask(b"GET", b"", 1))
        await asyncio.sleep(0)
        connection.data_received(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await asking
        return connection.usable

    assert played(script) is False


def test_a_slow_body_is_not_sent_when_the_server_has_gone() -> None:
    async def script(connection: Connection, transport: FakeTransport) -> list[bytes]:
        asking = asyncio.ensure_future(connection.ask(b"head", b"body", 1, pause=0.5))
        await asyncio.sleep(0.01)
        connection.connection_lost(None)
        with pytest.raises(Dropped):
            await asking
        return transport.sent

    assert played(script) == [b"head"]
