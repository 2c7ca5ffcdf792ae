"""The API as OpenAPI describes it: examples are of the described form, and answers keep to it."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    positive_data_acceptance,
    unsupported_method,
)

from api.app import create_app
from pulse.access import keys, people
from pulse.access.roles import Permission, Role, command_line
from tests.api.site import Site

STREAM = "/api/v1/events"
EXAMPLES = 30
_FOR_OTHERS = [ignored_auth, unsupported_method]
"""What the matrix of roles and the tests of problems hold: the installation of this test is open to look."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests of this module: they only read."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        site.live()
        yield site


def admins_token(site: Site) -> str:
    """A token that may everything, of an account made for it."""
    operator, now_us = command_line("operator", "here"), site.clock.now_us()
    with site.db.write() as connection:
        owner = people.create(connection, operator, "root-of-tests", Role.ADMIN, now_us)
        made = keys.create(connection, operator, owner, "test", list(Permission), None, 30, now_us)
    return made.secret


def test_answers_keep_to_what_is_described(site: Site) -> None:
    token = admins_token(site)
    app = create_app(site.context, pages=False)
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    asked = [STREAM]
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        # An endless answer cannot be checked by asking.
        if operation.path == STREAM:
            continue
        asked.append(operation.path)

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: Case[Any]) -> None:
            # That a text is a time, and one not in the future, no schema can tell.
            case.call_and_validate(
                excluded_checks=[positive_data_acceptance, *_FOR_OTHERS],
                headers={"Authorization": f"Bearer {token}"},
            )

        check()
    assert len(asked) == len(list(operations(app.openapi())))


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_answer_and_error_has_an_example_of_its_form(client: TestClient) -> None:
    schema = client.get("/api/v1/openapi.json").json()
    checked = 0
    for name, operation in operations(schema):
        assert operation["summary"], name
        assert operation["description"], name
        assert {"200", "422", "500"} <= operation["responses"].keys(), name
        for status, answer in operation["responses"].items():
            for media_type, content in answer["content"].items():
                where = f"{name} {status} {media_type}"
                assert "example" in content, where
                if media_type.endswith("json"):
                    form = {**content["schema"], "components": schema["components"]}
                    jsonschema.Draft202012Validator(form).validate(content["example"])
                    checked += 1
            assert status == "200" or list(answer["content"]) == ["application/problem+json"], name
    assert checked > 30


def test_every_parameter_is_described_in_both_languages(client: TestClient) -> None:
    schema = client.get("/api/v1/openapi.json").json()
    for name, operation in operations(schema):
        for parameter in operation.get("parameters", []):
            where = f"{name} {parameter['name']}"
            description = parameter.get("description", "")
            assert any("一" <= character <= "鿿" for character in description), where
            assert " / " in description, where


def test_the_documentation_page_loads_nothing_from_outside(client: TestClient) -> None:
    page = client.get("/docs")
    if page.status_code == 404:
        assert page.json()["type"] == "/api/v1/problems/docs-missing"
        return
    assert "://" not in page.text
    assert "<script>" not in page.text
    for path in ("/static/vendor/swagger-ui/swagger-ui-bundle.js", "/docs/start.js"):
        assert path in page.text
        assert client.get(path).status_code == 200
