import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from store import audit, db
from tests.unit.store import scenarios
from tests.unit.store.mutants import CONTROLS, MUTANTS, Mutant, control
from tests.unit.store.shop import Assistant, Shopper


def use(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    """Let the store run `text` in place of the script `name`."""
    real: Callable[[str], tuple[str, str]] = db.script
    changed = (text, hashlib.sha1(text.encode()).hexdigest())
    monkeypatch.setattr(db, "script", lambda wanted: changed if wanted == name else real(wanted))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_of_a_script_is_found_by_a_scenario(
    mutant: Mutant, app: Flask, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, mutant.script, mutant.text)
    for name in scenarios.ALL:
        try:
            scenarios.play(name, app, raw)
        except Exception:
            return
    pytest.fail(f"no scenario notices {mutant.name}")


@pytest.mark.parametrize("name", CONTROLS)
def test_the_controls_of_the_order_proof_really_break_what_they_should(
    name: str, app: Flask, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, "checkout", control(name))
    shopper, other = Shopper(app), Shopper(app)
    Assistant(app).set_stock("T-01", 2)
    shopper.order("k", T_01=1)
    if name == "duplicates":
        shopper.order("k", T_01=1)
        found = {finding.check for finding in audit.run(app.extensions["store"].db).findings}
        assert "placed-twice" in found
        return
    other.add("T-01")
    real = db.Database._pause
    rival: list[int] = []

    def between(*args: Any) -> None:
        if not rival:
            rival.append(1)
            shopper.order("l", T_01=1)
        real(*args)

    monkeypatch.setattr(db.Database, "_pause", between)
    other.checkout("m")
    found = {finding.check for finding in audit.run(app.extensions["store"].db).findings}
    assert "oversold" in found
