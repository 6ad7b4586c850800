from typing import Any

import pytest
from flask import Flask

from tests.unit.store import scenarios


@pytest.mark.parametrize("name", scenarios.ALL)
def test_scenario(name: str, app: Flask, raw: Any) -> None:
    scenarios.play(name, app, raw)
