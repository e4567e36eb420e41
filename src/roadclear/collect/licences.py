"""Creative Commons licences and public-domain marks: their short codes, names and addresses.

Addresses look like https://creativecommons.org/licenses/by/4.0/ and https://creativecommons.org/publicdomain/zero/1.0/.
The address of an older licence may end with the law to which the licence was ported (…/by-sa/2.0/de/).
"""

import re
from dataclasses import dataclass
from typing import Self

from roadclear.errors import OptionError

CODES = ("cc0", "pdm", "by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd")
"""Short codes, the freest first. `pdm` also stands for "public domain" without a version."""

UNKNOWN = "unknown"
"""Licence of a photo without a stated licence."""

LONGEST_NAME = 100
"""Most characters of the name of a licence that are kept of an answer."""

_DEDICATIONS = {"zero": "cc0", "mark": "pdm"}
_ADDRESS = re.compile(
    r"https?://creativecommons\.org/(?:licenses/(?P<code>by(?:-[a-z]+)*)|publicdomain/(?P<dedication>zero|mark))"
    r"/(?P<version>[0-9]{1,2}\.[0-9]{1,2})(?:/(?P<law>[a-z]{2,8}))?(?:/.*)?"
)
_NAME = re.compile(
    r"(?:cc[ -]?)?(?P<code>0|zero|pdm|by(?:-(?:nc|nd|sa))*)"
    r"(?:[ -]v?(?P<version>[0-9]{1,2}\.[0-9]{1,2}))?(?:[ -](?P<law>[a-z]{2,8}))?"
)
_PUBLIC_DOMAIN = re.compile(r"(?:public domain|pd)\b.*")


@dataclass(frozen=True)
class Licence:
    """A licence, or a public-domain mark.

    Attributes:
        code: short code, one of CODES.
        version: version ("4.0"), or "" where unknown.
        law: code of the law to which the licence was ported ("de"), or "".
    """

    code: str
    version: str = ""
    law: str = ""

    @classmethod
    def at(cls, url: str) -> Self | None:
        """Find the licence by its address at creativecommons.org; None for any other address."""
        found = _ADDRESS.fullmatch(url.strip().lower())
        if not found:
            return None
        code = found["code"] or _DEDICATIONS[found["dedication"]]
        law = found["law"] or ""
        return cls(code, found["version"], "" if law in ("deed", "legalcode") else law) if code in CODES else None

    @classmethod
    def called(cls, name: str) -> Self | None:
        """Find the licence by its name ("CC BY-SA 4.0", "cc-by-2.0", "CC0", "by-nc", "Public domain"), or None."""
        plain = " ".join(name.lower().split())
        if _PUBLIC_DOMAIN.fullmatch(plain):
            return cls("pdm")
        found = _NAME.fullmatch(plain)
        if not found:
            return None
        code = {"0": "cc0", "zero": "cc0"}.get(found["code"], found["code"])
        return cls(code, found["version"] or "", found["law"] or "") if code in CODES else None

    @property
    def name(self) -> str:
        """Name for credits: "CC BY-SA 4.0", "CC BY 2.0 DE", "CC0 1.0", "PDM 1.0"."""
        label = self.code.upper() if self.code in ("cc0", "pdm") else f"CC {self.code.upper()}"
        return " ".join(filter(None, (label, self.version, self.law.upper())))

    @property
    def url(self) -> str:
        """Address of the licence's text; "" where the version is unknown."""
        if not self.version:
            return ""
        dedication = {code: name for name, code in _DEDICATIONS.items()}.get(self.code)
        path = f"publicdomain/{dedication}" if dedication else f"licenses/{self.code}"
        return f"https://creativecommons.org/{path}/{self.version}/" + (f"{self.law}/" if self.law else "")


def licence_codes(names: str) -> frozenset[str]:
    """Parse a list of codes with commas, for example "cc0,by,by-sa".

    Raises:
        OptionError: a code is not in CODES, or the list is empty.
    """
    codes = frozenset(name.strip().lower() for name in names.split(",") if name.strip())
    unknown = sorted(codes.difference(CODES))
    if unknown or not codes:
        found = ", ".join(unknown) or "none"
        raise OptionError(f"licences must be of {', '.join(CODES)}, with commas between, found {found}: correct it")
    return codes
