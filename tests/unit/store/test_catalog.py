import json
from pathlib import Path
from typing import Any

import pytest

from store import catalog, cli
from store.db import Database
from store.settings import Settings
from tests.unit.store.conftest import SMALL

REAL = Path(__file__).parents[3] / "apps/store/base/catalog.json"


def test_the_file_that_is_deployed_is_a_catalog_of_60_with_images_that_exist() -> None:
    real = catalog.read(REAL)
    assert len(real.products) == 60
    web = Path(catalog.__file__).parent / "web"
    for product in real.products:
        assert (web / product.image.lstrip("/")).is_file(), product.sku


def test_the_revision_is_blind_to_order_and_layout_and_sees_every_value() -> None:
    one = catalog.parse(json.dumps(SMALL).encode(), "a")
    turned = {"products": SMALL["products"][::-1], "currency": "EUR"}
    assert catalog.parse(json.dumps(turned, indent=3).encode(), "b").revision == one.revision
    one.products[3].stock += 1
    assert catalog.parse(json.dumps(SMALL).encode(), "a").revision != one.revision


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"price_cents": 0}, "price_cents"),
        ({"price_cents": 9.99}, "price_cents"),
        ({"price_cents": "100"}, "price_cents"),
        ({"stock": -1}, "stock"),
        ({"sku": "lower"}, "sku"),
        ({"sku": "#REV"}, "sku"),
        ({"name": ""}, "name"),
        ({"colour": "red"}, "colour"),
        ({"image": "javascript:alert(1)"}, "image"),
        ({"sku": "T-02"}, "T-02 is there twice"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    first, *rest = SMALL["products"]
    with pytest.raises(catalog.CatalogError) as caught:
        catalog.parse(json.dumps({**SMALL, "products": [first | change, *rest]}).encode(), "catalog.json")  # type: ignore[operator]
    assert "catalog.json" in str(caught.value)
    assert said in str(caught.value)


def test_a_second_writer_finds_the_catalog_of_the_first(db: Database) -> None:
    one, two = (catalog.parse(json.dumps(SMALL).encode(), "a") for _ in range(2))
    two.products[0].price_cents = 5
    assert catalog.apply(db, one, only_if_none=True).outcome == "applied"
    assert catalog.apply(db, two, only_if_none=True).outcome == "present"
    assert db.call("HGET", catalog.META, "revision") == one.revision


def test_entries_of_a_later_version_are_read(db: Database, raw: Any) -> None:
    catalog.apply(db, catalog.parse(json.dumps(SMALL).encode(), "a"))
    document = json.loads(raw.hget("catalog", "T-01"))
    raw.hset("catalog", "T-01", json.dumps({**document, "weight_grams": 5}))
    assert catalog.items(db.call("HGETALL", "catalog"))["T-01"].name == "Thing 1"


def test_the_command_applies_checks_and_refuses(
    db: Database, settings: Settings, catalog_file: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("STORE_REDIS_HOST", settings.redis_host)
    monkeypatch.setenv("STORE_CATALOG_FILE", str(catalog_file))
    assert cli.main(["catalog", "check"]) == 0
    assert not db.call("EXISTS", "catalog")
    assert cli.main(["catalog", "apply", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["added"] == 6
    assert cli.main(["catalog", "apply"]) == 0
    assert capsys.readouterr().out.startswith("unchanged")
    few = tmp_path / "few.json"
    few.write_text(json.dumps({**SMALL, "products": SMALL["products"][:2]}))
    assert cli.main(["catalog", "apply", str(few)]) == 1
    assert "more than half" in capsys.readouterr().err
    assert cli.main(["catalog", "apply", str(few), "--force"]) == 0
    few.write_text("{")
    assert cli.main(["catalog", "apply", str(few)]) == 1
    assert "hint:" in capsys.readouterr().err


def test_the_command_says_when_redis_is_away_and_keeps_its_time(
    settings: Settings,
    catalog_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STORE_REDIS_HOST", str(catalog_file.parent / "no.sock"))
    assert cli.main(["catalog", "apply", str(catalog_file), "--wait", "0.2"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: Redis did not answer in time")
    assert "hint:  check STORE_REDIS_HOST" in error


def test_a_command_without_a_file_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STORE_CATALOG_FILE", raising=False)
    assert cli.main(["catalog", "check"]) == 1
    assert "no file" in capsys.readouterr().err
    monkeypatch.setenv("STORE_REDIS_PORT", "x")
    assert cli.main(["catalog", "check"]) == 1
    assert "STORE_REDIS_PORT" in capsys.readouterr().err
