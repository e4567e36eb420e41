"""Pages escape every value, show every character, and refuse a name that nobody gave."""

import importlib
import sys
from pathlib import Path

import pytest
from jinja2 import Environment, UndefinedError
from markupsafe import Markup

from roadclear.utils.html import html_environment


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The environment of a package with one template."""
    package = tmp_path / "some_pages"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "page.html.j2").write_text("<p>\n  {% if name %}\n{{ name }}\n  {% endif %}\n</p>\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield html_environment("some_pages")
    sys.modules.pop("some_pages", None)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("road", "road"),
        ("<script>&\"'", "&lt;script&gt;&amp;&#34;&#39;"),
        ("two\nlines\u202e", "two\\nlines\\u202e"),
        ("caf\udce9", "caf\\udce9"),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}"),
        (Markup("<b>\n</b>"), "<b>\n</b>"),
        (3, "3"),
    ],
)
def test_a_value_is_text_whatever_is_in_it(environment: Environment, name: object, shown: str) -> None:
    assert environment.get_template("page.html.j2").render(name=name) == f"<p>\n{shown}\n</p>"


def test_a_name_that_is_not_given_is_an_error(environment: Environment) -> None:
    with pytest.raises(UndefinedError, match="'name' is undefined"):
        environment.get_template("page.html.j2").render()
