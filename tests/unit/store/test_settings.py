import pytest

from store import settings


def test_defaults_are_those_of_a_plain_start() -> None:
    loaded = settings.load({})
    assert loaded.redis_host == "redis"
    assert loaded.listen == "0.0.0.0:8080"
    assert loaded.admin_tokens == ()
    assert not loaded.cookie_secure


def test_every_mistake_is_reported_at_once_by_the_name_of_its_variable() -> None:
    env = {
        "STORE_REDIS_PORT": "70000",
        "STORE_LOG_LEVEL": "loud",
        "STORE_COOKIE_SECURE": "maybe",
        "STORE_ADMIN_TOKEN": "short",
        "STORE_INFLIGHT_LIMIT": "-1",
    }
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(env)
    for name in env:
        assert name in str(caught.value)
    assert "short" not in str(caught.value).split("STORE_ADMIN_TOKEN")[1].splitlines()[0].replace(
        "shorter", ""
    )


def test_secrets_are_not_shown() -> None:
    loaded = settings.load({"STORE_REDIS_PASSWORD": "hush-hush", "STORE_ADMIN_TOKEN": "t" * 30})
    assert "hush" not in repr(loaded)
    assert "ttt" not in repr(loaded)


def test_two_admin_tokens_are_valid_while_they_are_rotated() -> None:
    loaded = settings.load({"STORE_ADMIN_TOKEN": "a" * 24, "STORE_ADMIN_TOKEN_NEXT": "b" * 24})
    assert loaded.admin_tokens == ("a" * 24, "b" * 24)
