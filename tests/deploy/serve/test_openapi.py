"""The OpenAPI document, and schemathesis: requests drawn from the document find no answer that it does not describe."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from servers import Running

pytestmark = pytest.mark.slow
schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: pip install schemathesis")

EXAMPLES = 8


def test_requests_drawn_from_the_document_get_answers_that_it_describes(server: Running) -> None:
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    schema = schemathesis.openapi.from_url(f"{server.address}openapi.json")
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            def ask(case: object) -> None:
                response = case.call()  # type: ignore[attr-defined]
                case.validate_response(response, checks=checks)  # type: ignore[attr-defined]
                asked.add((case.method, case.path))  # type: ignore[attr-defined]

            try:
                ask()
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, "only what takes no input has no wrong input"
    assert ("POST", "/predict") in asked and ("POST", "/v2/models/{name}/infer") in asked


def test_every_operation_is_described(server: Running) -> None:
    document = server.client.get("openapi.json").json()
    assert {"/", "/predict", "/metrics", "/healthz", "/readyz", "/v2"} < set(document["paths"])
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["responses"], path
    assert "securitySchemes" not in document["components"], "no key is needed here"
