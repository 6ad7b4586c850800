"""The description is valid and answers are what it says; STORE_FUZZ_CASES=300 makes it 10,000 cases."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from store import create_app, openapi
from store.settings import Settings
from tests.unit.store.shop import ADMIN, Assistant, Shopper, body

CASES = int(os.environ.get("STORE_FUZZ_CASES", "8"))


def test_the_document_is_json_schema_and_every_reference_is_there(app: Flask) -> None:
    document = body(app.test_client().get("/api/v1/openapi.json"))
    assert document["openapi"].startswith("3.1")
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert name

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from [value["$ref"]] if "$ref" in value else []
            for inner in value.values():
                yield from references(inner)
        if isinstance(value, list):
            for inner in value:
                yield from references(inner)

    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def test_the_page_shows_every_operation(app: Flask) -> None:
    page = app.test_client().get("/api/v1/docs").get_data(as_text=True)
    for operation in openapi.OPERATIONS:
        assert operation.path in page
    assert "<script" not in page


@pytest.fixture
def open_app(settings: Settings, raw: Any) -> Flask:
    """A store with something in it, whose admin lets everybody in so that the fuzzer gets past the door."""
    app = create_app(settings, background=False)
    app.extensions["store"].snapshot.refresh()
    order = Shopper(app).order("k", T_01=1)["order_id"]
    Assistant(app).move(order, "pay")
    return app


CHECKS = ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_answer_is_outside_the_document(mode: GenerationMode, open_app: Flask) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", open_app)
    checks = [not_a_server_error, *schemathesis.checks.CHECKS.get_by_names(CHECKS)]
    count = 0

    def run(case: Any) -> None:
        nonlocal count
        count += 1
        response = case.call(headers=ADMIN if "/admin/" in case.path else {})
        case.validate_response(response, checks=checks)

    limits = hypothesis_settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
    for operation in schema.get_all_operations():
        try:
            found: Any = operation
            strategy = found.ok().as_strategy(generation_mode=mode)
            limits(given(case=strategy)(run))()
        except Unsatisfiable:
            assert mode == GenerationMode.NEGATIVE, (
                "nothing can be wrong about an operation that takes nothing"
            )
    assert count >= CASES * 10, count
