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
REST_S = 1.0


@dataclass
class Tally:
    """What came of a run: latencies of successes and of 503 with Retry-After in seconds, other answers, seconds in all.

    The status of a request without an answer is 0.
    """

    latencies: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    others: collections.Counter[int] = field(default_factory=collections.Counter)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """How many were no success."""
        return len(self.refusals) + self.others.total()

    def quantile(self, q: float) -> float:
        """The latency that a share `q` of the successes did not exceed, in seconds."""
        return quantile(self.latencies, q)

    def take(self, head: bytes, latency: float) -> None:
        """Count one answer by its head."""
        status = int(head[9:12] or 0)
        if 200 <= status < 300:
            self.latencies.append(latency)
        elif status == 503 and b"\r\nretry-after:" in head.lower():
            self.refusals.append(latency)
        else:
            self.others[status] += 1


def quantile(values: list[float], q: float) -> float:
    """The value that a share `q` does not exceed; 0 for no values."""
    ordered = sorted(values)
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else 0.0


class _Line:
    """One connection: a request out, an answer in; nothing of it waits."""

    def __init__(self, port: int, poll: select.epoll) -> None:
        self.port = port
        self.poll = poll
        self.socket: socket.socket | None = None
        self.received = b""
        self.due = self.sent = 0.0
        self.unsent = b""

    def send(self, request: bytes, due: float) -> int:
        """Send now, or as soon as there is a connection; returns the file's number."""
        self.due, self.sent, self.received = due, time.perf_counter(), b""
        if self.socket is not None:
            try:
                self.socket.sendall(request)
                return self.socket.fileno()
            except OSError:
                self.close()  # the server had closed it while it was idle
        self.socket, self.unsent = socket.socket(), request
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex((ADDRESS, self.port))
        self.poll.register(self.socket, select.EPOLLOUT)
        return self.socket.fileno()

    def go_on(self) -> bytes | None:
        """What the poll woke us for: the head of a whole answer, nothing of a broken one, None before the end."""
        assert self.socket is not None
        try:
            if self.unsent:
                self.socket.send(self.unsent)
                self.unsent = b""
                self.poll.modify(self.socket, select.EPOLLIN)
                return None
            chunk = self.socket.recv(65536)
        except OSError:
            chunk = b""
        self.received += chunk
        head, found, body = self.received.partition(b"\r\n\r\n")
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0) if found else 0
        whole = bool(found) and len(body) >= length
        if chunk and not whole:
            return None
        if not chunk or b"connection: close" in lower:
            self.close()
        return head if whole else b""

    def close(self) -> None:
        """Close, if it is open."""
        if self.socket is not None:
            self.poll.unregister(self.socket)
            self.socket.close()
            self.socket, self.unsent = None, b""


def run(
    port: int,
    requests: Iterator[bytes],
    count: int,
    rate: float = 0,
    lines: int = 16,
    *,
    patient: bool = False,
    limit_s: float = 600,
) -> Tally:
    """Send `count` requests over at most `lines` connections: `rate` a second, or as fast as answers come (0).

    With `patient`, a line is a customer: one who was refused comes back after `REST_S`, and latency counts from
    the sending. What has no answer `limit_s` seconds after the start counts as answered with 0.
    """
    poll, tally = select.epoll(), Tally()
    free = collections.deque(_Line(port, poll) for _ in range(lines))
    busy: dict[int, _Line] = {}
    idle: dict[int, _Line] = {}
    waiting: collections.deque[float] = collections.deque()
    resting: collections.deque[tuple[float, _Line]] = collections.deque()
    started = time.perf_counter()
    due, sent, done = started, 0, 0
    while done < count and time.perf_counter() - started < limit_s:
        now = time.perf_counter()
        while sent + len(waiting) < count and (not rate or due <= now) and (rate or free):
            waiting.append(due if rate else now)
            due += 1 / rate if rate else 0
            if not rate:
                break
        while resting and resting[0][0] <= now:
            free.append(resting.popleft()[1])
        while waiting and free:
            # The line that was used last: a new connection is made only when all others are busy.
            line = free.pop()
            number = line.send(next(requests), waiting.popleft())
            busy[number] = line
            idle.pop(number, None)
            sent += 1
        pause = max(0.0, due - time.perf_counter()) if rate and sent + len(waiting) < count else 1.0
        pause = min(pause, max(0.0, resting[0][0] - now)) if resting else pause
        for number, _ in poll.poll(0 if not rate and free and sent < count else pause):
            if number not in busy:
                idle.pop(number).close()
                continue
            line = busy[number]
            head = line.go_on()
            if head is None:
                continue
            del busy[number]
            if line.socket is not None:
                idle[number] = line
            ended = time.perf_counter()
            tally.take(head, ended - (line.sent if patient else line.due))
            if patient and head[9:12] == b"503":
                resting.append((ended + REST_S, line))
            else:
                free.append(line)
            done += 1
    tally.seconds = time.perf_counter() - started
    tally.others[0] += count - done
    for line in (*free, *busy.values(), *(line for _, line in resting)):
        line.close()
    poll.close()
    return tally
