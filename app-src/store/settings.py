"""What the environment says: one frozen object, read once, every mistake reported at the same time."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "STORE_"
DAY_S = 24 * 3600
MAX_BODY = 64 * 1024
"""Bytes of a request's body; no setting, since the API's document says it."""


class SettingsError(ValueError):
    """One or more variables of the environment are missing or wrong; the text names each on its own line."""


@dataclass(frozen=True)
class Settings:
    """All settings, in the units that their names say. Secrets are never shown by `repr`."""

    redis_host: str = "redis"
    redis_port: int = 6379
    redis_password: str = field(default="", repr=False)
    redis_connections: int = 64
    catalog_file: Path | None = None
    drain_file: Path = Path("/tmp/draining")  # noqa: S108 - the emptyDir that preStop can write to
    version: str = "dev"
    log_level: str = "info"
    listen: str = "0.0.0.0:8080"
    metrics_port: int = 9100
    inflight_limit: int = 256
    # Below a second a pod that merely gets no CPU for a moment would turn shoppers away (measured: 40 of 8,402).
    queue_limit_ms: int = 1000
    deadline_ms: int = 4000
    cookie_secure: bool = False
    origins: frozenset[str] = frozenset()
    session_ttl_s: int = 7 * DAY_S
    session_trial_s: int = 30 * 60
    sessions_max: int = 100_000
    admin_token: str = field(default="", repr=False)
    admin_token_next: str = field(default="", repr=False)

    @property
    def admin_tokens(self) -> tuple[str, ...]:
        """The bearer tokens that are valid now: none, one, or two while they are rotated."""
        return tuple(token for token in (self.admin_token, self.admin_token_next) if token)


class _Reader:
    """Reads typed values from a mapping and collects what is wrong with them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self.env.get(PREFIX + name, default)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        raw = self.env.get(PREFIX + name, "").strip()
        if not raw:
            return default
        if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
            self.problems.append(f"{PREFIX}{name} must be a whole number from {low} to {high}, not {raw!r}")
            return default
        return int(raw)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default).lower()
        if value not in allowed:
            self.problems.append(f"{PREFIX}{name} must be one of {', '.join(allowed)}, not {value!r}")
            return default
        return value

    def secret(self, name: str, shortest: int) -> str:
        value = self.text(name, "").strip()
        if value and len(value) < shortest:
            self.problems.append(f"{PREFIX}{name} must have at least {shortest} characters")
        return value


def load(env: Mapping[str, str] | None = None) -> Settings:
    """Read `Settings` from `env` (the process's environment by default); raises `SettingsError`."""
    read = _Reader(os.environ if env is None else env)
    catalog = read.text("CATALOG_FILE", "")
    usual = Settings()
    settings = Settings(
        redis_host=read.text("REDIS_HOST", usual.redis_host),
        redis_port=read.number("REDIS_PORT", usual.redis_port, 1, 65535),
        redis_password=read.text("REDIS_PASSWORD", ""),
        redis_connections=read.number("REDIS_CONNECTIONS", usual.redis_connections, 4, 1024),
        catalog_file=Path(catalog) if catalog else None,
        drain_file=Path(read.text("DRAIN_FILE", str(usual.drain_file))),
        version=read.text("VERSION", usual.version),
        log_level=read.choice("LOG_LEVEL", usual.log_level, ("debug", "info", "warning", "error")),
        listen=read.text("LISTEN", usual.listen),
        metrics_port=read.number("METRICS_PORT", usual.metrics_port, 0, 65535),
        inflight_limit=read.number("INFLIGHT_LIMIT", usual.inflight_limit, 1, 100_000),
        queue_limit_ms=read.number("QUEUE_LIMIT_MS", usual.queue_limit_ms, 1, 60_000),
        deadline_ms=read.number("DEADLINE_MS", usual.deadline_ms, 50, 60_000),
        cookie_secure=read.choice("COOKIE_SECURE", "false", ("true", "false")) == "true",
        origins=frozenset(read.text("ORIGINS", "").replace(",", " ").split()),
        session_ttl_s=read.number("SESSION_TTL_S", usual.session_ttl_s, 10, 90 * DAY_S),
        session_trial_s=read.number("SESSION_TRIAL_S", usual.session_trial_s, 1, 90 * DAY_S),
        sessions_max=read.number("SESSIONS_MAX", usual.sessions_max, 1, 100_000_000),
        admin_token=read.secret("ADMIN_TOKEN", 24),
        admin_token_next=read.secret("ADMIN_TOKEN_NEXT", 24),
    )
    if read.problems:
        raise SettingsError("\n".join(read.problems))
    return settings
