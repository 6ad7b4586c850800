"""How gunicorn serves the store: one worker with greenlets, and a clean end.

The order of a stop: preStop makes the drain file, and from then on each answer closes its connection; the
pod leaves its Service; SIGTERM closes the listener; idle connections get `keepalive` seconds, longer than our
clients stay idle, before the worker ends; `graceful_timeout` is longer than that, the pod's grace period
longer than all.
"""

import gc
import os
from typing import Any

from store import settings as settings_module

settings = settings_module.load()

bind = settings.listen
workers = 1
worker_class = "store.worker.StoreWorker"
worker_connections = 4096
backlog = 2048
keepalive = 8
timeout = 30
graceful_timeout = 15
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - a heartbeat file, not data
control_socket_disable = True
# No header of a proxy is believed, whoever sends it, so nobody's address need be looked at.
forwarded_allow_ips = "*"
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190
logger_class = "store.worker.StoreLogger"

_drain_file = str(settings.drain_file)


def pre_request(worker: Any, request: Any) -> None:
    """While draining, answer and close: the client's next request then opens a connection to another pod."""
    if os.path.exists(_drain_file):
        request.force_close()


def post_worker_init(worker: Any) -> None:
    """Serve the metrics once the application is there, and spare the collector what will live for ever."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    from prometheus_client import start_http_server

    if settings.metrics_port:
        registry = worker.app.wsgi().extensions["store"].metrics.registry
        start_http_server(settings.metrics_port, registry=registry)
