"""Settings of the providers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Choices of the user, and variables of the environment.

    Attributes:
        licences: requested licences by short code (see roadclear.collect.licences.CODES); None for any licence.
        contact: e-mail address or web page of the person who collects, for the providers.
        url_files: lists of addresses for the provider `urls`.
        proxy: address of a proxy for providers with their own network client, or None.
        environment: environment variables: keys and tokens, ROADCLEAR_CONTACT, and ROADCLEAR_<PROVIDER>_URL for
            another address of a provider.
    """

    licences: frozenset[str] | None = None
    contact: str = ""
    url_files: tuple[Path, ...] = ()
    proxy: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def variable(self, name: str) -> str:
        """Read an environment variable; "" where the variable is not set."""
        return self.environment.get(name, "").strip()

    def address(self, provider: str, usual: str) -> str:
        """Address of a provider, without a slash at the end."""
        return (self.variable(f"ROADCLEAR_{provider.upper()}_URL") or usual).rstrip("/")

    def allows(self, code: str | None) -> bool:
        """Whether a licence is requested. The code is None for an unknown licence."""
        return self.licences is None or code in self.licences
