"""A load generator that costs little: one thread, raw sockets, requests that are bytes already.

Open loop: each request has a time at which it is due, and its latency counts from then, whether or not a
connection was free (no coordinated omission).
"""

import collections
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

ADDRESS = "127.0.0.1"


@dataclass
class Tally:
    """What came of a run: latencies in seconds, answers that were no success, seconds in all."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0

    def quantile(self, q: float) -> float:
        """The latency that a share `q` of the requests did not exceed, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)]


class _Line:
    """One connection: a request out, an answer in."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket: socket.socket | None = None
        self.received = b""
        self.due = 0.0

    def send(self, request: bytes, due: float) -> socket.socket:
        self.due, self.received = due, b""
        if self.socket is None:
            self.socket = socket.create_connection((ADDRESS, self.port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(request)
        return self.socket

    def complete(self) -> bool | None:
        """True when the whole answer is there and was a success, False when it was none, None before."""
        assert self.socket is not None
        chunk = self.socket.recv(65536)
        self.received += chunk
        head, found, body = self.received.partition(b"\r\n\r\n")
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0) if found else 0
        if chunk and (not found or len(body) < length):
            return None
        if not chunk or b"connection: close" in lower:
            self.socket.close()
            self.socket = None
        return bool(found) and self.received[9:10] == b"2"


def run(port: int, requests: Iterator[bytes], count: int, rate: float = 0, lines: int = 16) -> Tally:
    """Send `count` requests over at most `lines` connections: `rate` a second, or as fast as answers come (0)."""
    poll, tally = select.epoll(), Tally()
    free = collections.deque(_Line(port) for _ in range(lines))
    busy: dict[int, _Line] = {}
    waiting: collections.deque[float] = collections.deque()
    started = time.perf_counter()
    due, sent, done = started, 0, 0
    while done < count:
        now = time.perf_counter()
        while sent + len(waiting) < count and (not rate or due <= now) and (rate or free):
            waiting.append(due if rate else now)
            due += 1 / rate if rate else 0
            if not rate:
                break
        while waiting and free:
            line = free.popleft()
            sock = line.send(next(requests), waiting.popleft())
            busy[sock.fileno()] = line
            poll.register(sock, select.EPOLLIN)
            sent += 1
        pause = max(0.0, due - time.perf_counter()) if rate and sent + len(waiting) < count else 1.0
        for number, _ in poll.poll(0 if not rate and free and sent < count else pause):
            line = busy[number]
            poll_socket = line.socket
            ended = line.complete()
            if ended is None:
                continue
            if line.socket is poll_socket:
                poll.unregister(number)
            del busy[number]
            tally.latencies.append(time.perf_counter() - line.due)
            tally.failed += not ended
            free.append(line)
            done += 1
    tally.seconds = time.perf_counter() - started
    for line in free:
        if line.socket:
            line.socket.close()
    poll.close()
    return tally
