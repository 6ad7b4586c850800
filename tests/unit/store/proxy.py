"""A proxy in front of Redis that loses a request, or the reply to a request that was applied."""

import contextlib
import socket
import threading
from pathlib import Path
from typing import Literal

Loss = Literal["request", "reply", "late", "nothing"]


class LossyProxy:
    """Listens on a Unix socket; breaks the connection at the call with the number `at` (from 0)."""

    def __init__(self, listen: Path, upstream: Path) -> None:
        self.listen, self.upstream = listen, upstream
        self.loss: Loss = "nothing"
        self.at = -1
        self.calls = 0
        self.hold_s = 0.0
        self._lock = threading.Lock()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(listen))
        self._server.listen(64)
        self._sockets: list[socket.socket] = [self._server]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def lose(self, loss: Loss, at: int) -> None:
        """Break the call number `at` from now on in the given way, once."""
        with self._lock:
            self.loss, self.at, self.calls = loss, at, 0

    def close(self) -> None:
        """Stop; existing connections end."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            upstream = socket.socket(socket.AF_UNIX)
            try:
                upstream.connect(str(self.upstream))
            except OSError:
                client.close()
                upstream.close()
                continue
            self._sockets += [client, upstream]
            threading.Thread(target=self._serve, args=(client, upstream), daemon=True).start()

    def _next(self) -> Loss:
        with self._lock:
            number, self.calls = self.calls, self.calls + 1
            return self.loss if number == self.at else "nothing"

    def _serve(self, client: socket.socket, upstream: socket.socket) -> None:
        with contextlib.suppress(OSError), client, upstream:
            while request := client.recv(1 << 20):
                loss = self._next()
                if loss == "request":
                    return
                upstream.sendall(request)
                reply = upstream.recv(1 << 20)
                if loss == "reply" or not reply:
                    return
                client.sendall(reply)
