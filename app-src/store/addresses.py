"""The address of Redis, kept when the name service is away.

Looking a name up cannot be bounded by a socket's time-out, so no request waits for it: the first answer is
kept, and a failed connection only asks for a new look-up, which happens beside.
"""

import socket
import threading
import time

RETRY_S = 1.0


class Address:
    """A host name or path and its last known address."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.is_path = host.startswith("/")
        self._known: str | None = None
        self._asked = 0.0
        self._answered = threading.Event()
        self._lock = threading.Lock()

    def current(self, wait_s: float) -> str:
        """The address to connect to; waits up to `wait_s` seconds for the very first answer only."""
        if self._known is None:
            self.doubt()
            self._answered.wait(wait_s)
        if self._known is None:
            raise OSError(f"the name {self.host} has no address yet")
        return self._known

    def doubt(self) -> None:
        """Look the name up again, beside, at most once a second."""
        if self.is_path:
            return
        with self._lock:
            now = time.monotonic()
            if self._asked and now - self._asked < RETRY_S:
                return
            self._asked = now
        threading.Thread(target=self._look_up, name="resolve", daemon=True).start()

    def _look_up(self) -> None:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError:
            return
        self._known = str(found[0][4][0])
        self._answered.set()
