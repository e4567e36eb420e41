"""What a provider may have to know besides the query."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What the user chose, and what the environment holds.

    Attributes:
        licences: short codes (see roadclear.collect.licences.CODES) that a photo may have; None for any.
        contact: an e-mail address or web page at which the providers can reach whoever runs this.
        url_files: the lists that the provider `urls` reads.
        proxy: of all requests; None for a direct way. Only for providers that have a network client of their own.
        environment: variables; it holds keys and tokens, ROADCLEAR_CONTACT, and ROADCLEAR_<PROVIDER>_URL where a
            provider is to be asked at another address than its own.
    """

    licences: frozenset[str] | None = None
    contact: str = ""
    url_files: tuple[Path, ...] = ()
    proxy: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def variable(self, name: str) -> str:
        """Of the environment; "" where it is not set."""
        return self.environment.get(name, "").strip()

    def address(self, provider: str, usual: str) -> str:
        """Where a provider is asked, without a slash at the end."""
        return (self.variable(f"ROADCLEAR_{provider.upper()}_URL") or usual).rstrip("/")

    def allows(self, code: str | None) -> bool:
        """Whether a photo may be used under the licence with this code, or None where that is another or not known."""
        return self.licences is None or code in self.licences
