"""HTML pages from templates. One Jinja environment serves every page of the program."""

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from roadclear.utils.text import printable

if TYPE_CHECKING:
    from jinja2 import Environment


def html_environment(package: str) -> "Environment":
    """Return the environment that renders the templates of a package.

    Every value is escaped for HTML, and characters that cannot be printed are shown as Python's escapes.
    A name that the template uses and the caller does not give is an error.

    Args:
        package: import name of the package whose folder holds the templates, such as "roadclear.report".
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _printable(value: Any) -> Any:
    """Make text printable. Markup comes from the program itself and stays as it is."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
