"""The documented interfaces of the providers, over a catalogue that is made up.

Each function plays one provider: parameters and headers of a request in, the answer out. They refuse what the real
ones refuse, in the same words and with the same headers.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

LICENCES = ("by", "by-sa", "cc0", "by-nc", "pdm", "by-nd", "by-nc-sa", "by-nc-nd")
FLICKR_KEY = "0123456789abcdef0123456789abcdef"
FLICKR_LICENCES = (
    ("0", "All Rights Reserved", ""),
    ("1", "Attribution-NonCommercial-ShareAlike License", "https://creativecommons.org/licenses/by-nc-sa/2.0/"),
    ("2", "Attribution-NonCommercial License", "https://creativecommons.org/licenses/by-nc/2.0/"),
    ("3", "Attribution-NonCommercial-NoDerivs License", "https://creativecommons.org/licenses/by-nc-nd/2.0/"),
    ("4", "Attribution License", "https://creativecommons.org/licenses/by/2.0/"),
    ("5", "Attribution-ShareAlike License", "https://creativecommons.org/licenses/by-sa/2.0/"),
    ("6", "Attribution-NoDerivs License", "https://creativecommons.org/licenses/by-nd/2.0/"),
    ("7", "No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    ("8", "United States Government Work", "http://www.usa.gov/copyright.shtml"),
    ("9", "Public Domain Dedication (CC0)", "https://creativecommons.org/publicdomain/zero/1.0/"),
    ("10", "Public Domain Mark", "https://creativecommons.org/publicdomain/mark/1.0/"),
)
THUMBNAIL_WIDTHS = (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)
COMPLETE_AT_ONCE = 30
"""How many of a batch's pages Wikimedia gives all properties of, before it wants to be asked again."""


@dataclass(frozen=True)
class Photo:
    """A photo of the catalogue, the same for every provider."""

    number: int
    place: int

    @property
    def licence(self) -> str:
        return LICENCES[self.place % len(LICENCES)]

    @property
    def title(self) -> str:
        return f"Street & square {self.number}"

    @property
    def author(self) -> str:
        return f"Zoë Müller-{self.number}"

    @property
    def width(self) -> int:
        return (640, 1280, 4000)[self.place % 3]

    @property
    def height(self) -> int:
        return self.width * 3 // 4


def catalogue(query: str, size: int) -> list[Photo]:
    """The photos that a query finds: others for every query, none for "nothing"."""
    first = zlib.crc32(query.encode()) % 1_000_000 * 10_000
    return [] if query.endswith("nothing") else [Photo(first + place, place) for place in range(size)]


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(content: object, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json", **named})


@dataclass
class Openverse:
    """GET /v1/images/. `burst` is how many requests it still answers."""

    size: int
    base: str
    burst: int = 1_000_000
    depth: int = 240

    def answer(self, params: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        token = headers.get("Authorization", "")
        caller = "authenticated" if token else "anonymous"
        if token not in ("", "Bearer valid"):
            return as_json(
                {"detail": "Invalid token"}, 401, WWW_Authenticate='Bearer realm="api",error="invalid_token"'
            )
        self.burst -= 1
        if self.burst < 0:
            detail = "Request was throttled. Expected available in 41 seconds."
            return as_json({"detail": detail}, 429, Retry_After="41", **{"X-RateLimit-Available-anon_burst": "0"})
        page, size = int(params.get("page", 1)), int(params.get("page_size", 20))
        most = 50 if token else 20
        if size > most:
            return as_json({"detail": f"page_size may not exceed {most} for {caller} requests"}, 401)
        if page * size > self.depth:
            return as_json({"detail": f"pagination depth may not exceed {self.depth} for {caller} requests"}, 401)
        wished = [code for code in params.get("license", "").split(",") if code]
        for code in wished:
            if code not in LICENCES:
                return as_json({"detail": {"license": [f"License '{code}' does not exist."]}}, 400)
        found = [photo for photo in catalogue(params["q"][:200], self.size) if not wished or photo.licence in wished]
        found = found[: self.depth]
        printable = found[(page - 1) * size : page * size]
        answer = {
            "result_count": len(found),
            "page_count": -(-len(found) // size),
            "page_size": size,
            "page": page,
            "results": [self._result(photo) for photo in printable],
        }
        limits = {"X-RateLimit-Limit-anon_burst": "20/min", "X-RateLimit-Available-anon_burst": str(self.burst)}
        return as_json(answer, **limits)

    def _result(self, photo: Photo) -> dict[str, object]:
        kind, version = ("publicdomain", "1.0") if photo.licence in ("cc0", "pdm") else ("licenses", "2.0")
        part = {"cc0": "zero", "pdm": "mark"}.get(photo.licence, photo.licence)
        known: dict[str, object] = {
            "title": photo.title,
            "foreign_landing_url": f"{self.base}/pages/{photo.number}",
            "creator": photo.author,
            "creator_url": f"{self.base}/people/{photo.number}",
            "license_version": version,
            "license_url": f"https://creativecommons.org/{kind}/{part}/{version}/",
            "source": "flickr",
            "filetype": "jpg",
            "filesize": 123_456,
            "width": photo.width,
            "height": photo.height,
            "attribution": f'"{photo.title}" by {photo.author} is licensed under CC {photo.licence.upper()} {version}.',
        }
        if photo.place % 7 == 3:
            known = dict.fromkeys(known)
        return {
            "id": f"00000000-0000-4000-8000-{photo.number:012d}",
            "url": f"{self.base}/photos/{photo.number}.jpg",
            "license": photo.licence,
            "mature": False,
            "thumbnail": f"{self.base}/v1/images/{photo.number}/thumb/",
            **known,
        }


@dataclass
class Wikimedia:
    """GET /w/api.php?action=query&generator=search&prop=imageinfo."""

    size: int
    base: str

    def answer(self, params: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        if not any(sign in headers.get("User-Agent", "") for sign in ("@", "://")):
            return Answer(403, b"Please set a user-agent and respect our robot policy", {"Content-Type": "text/plain"})
        expected = {"action": "query", "format": "json", "formatversion": "2", "generator": "search"}
        for name, value in expected.items():
            if params.get(name) != value:
                return self._error("badvalue", f'Unrecognized value for parameter "{name}": {params.get(name)}.')
        if len(params["gsrsearch"]) > 300:
            return self._error(
                "cirrussearch-query-too-long", "Search request is longer than the maximum allowed length."
            )
        offset, limit = int(params.get("gsroffset", 0)), min(int(params["gsrlimit"]), 500)
        if offset and params.get("continue") != "gsroffset||":
            return self._error("badcontinue", "Invalid continue param.")
        found = catalogue(params["gsrsearch"].removeprefix("filetype:bitmap "), self.size)
        batch = list(enumerate(found[offset : offset + limit], start=offset + 1))
        if not batch:
            return as_json({"batchcomplete": True})
        resumed = "iicontinue" in params
        complete = batch[COMPLETE_AT_ONCE:] if resumed else batch[:COMPLETE_AT_ONCE]
        pages = [self._page(photo, index, params, (index, photo) in complete) for index, photo in batch]
        answer: dict[str, object] = {"query": {"pages": sorted(pages, key=lambda page: str(page["title"])[::-1])}}
        following: dict[str, object] = {}
        if not resumed and len(batch) > COMPLETE_AT_ONCE:
            following = {"iicontinue": f"Street_{batch[COMPLETE_AT_ONCE][1].number}.jpg|1", "continue": "gsroffset||"}
            following |= {"gsroffset": offset} if offset else {}
        else:
            answer["batchcomplete"] = True
            if offset + limit < len(found):
                following = {"gsroffset": offset + limit, "continue": "gsroffset||"}
        return as_json(answer | ({"continue": following} if following else {}))

    def _error(self, code: str, info: str) -> Answer:
        return as_json({"error": {"code": code, "info": info, "docref": "See the help."}}, MediaWiki_API_Error=code)

    def _page(self, photo: Photo, index: int, params: Mapping[str, str], complete: bool) -> dict[str, object]:
        title = f"File:Street {photo.number}.jpg"
        page: dict[str, object] = {"pageid": photo.number + 1, "ns": 6, "title": title, "index": index}
        return page | ({"imagerepository": "local", "imageinfo": [self._info(photo, params)]} if complete else {})

    def _info(self, photo: Photo, params: Mapping[str, str]) -> dict[str, object]:
        info: dict[str, object] = {
            "user": "Uploader",
            "url": f"{self.base}/photos/{photo.number}.jpg",
            "descriptionurl": f"{self.base}/wiki/File:Street_{photo.number}.jpg",
            "size": 123_456,
            "width": photo.width,
            "height": photo.height,
            "mime": "image/svg+xml" if photo.place % 10 == 9 else "image/jpeg",
            "mediatype": "DRAWING" if photo.place % 10 == 9 else "BITMAP",
            "sha1": f"{photo.number:040x}",
            "extmetadata": self._metadata(photo),
        }
        asked = int(params["iiurlwidth"])
        width = min(asked, photo.width)
        shrunk = f"{self.base}/photos/{asked}px-{photo.number}.jpg"
        thumbnail = {
            "thumburl": shrunk if asked < photo.width else info["url"],
            "thumbwidth": width,
            "thumbheight": width * 3 // 4,
        }
        return info | thumbnail

    def _metadata(self, photo: Photo) -> object:
        if photo.place % 7 == 3:
            return []
        part = {"cc0": "zero", "pdm": "mark"}.get(photo.licence, photo.licence)
        kind = "publicdomain" if photo.licence in ("cc0", "pdm") else "licenses"
        version = "1.0" if kind == "publicdomain" else "4.0"
        name = {"cc0": "CC0", "pdm": "Public domain"}.get(photo.licence, f"CC {photo.licence.upper()} {version}")
        artist = (
            f'<bdi><a href="//commons.wikimedia.org/wiki/User:{photo.number}" title="User">Zo&euml; <b>M&uuml;ller</b>'
            f'-{photo.number}</a></bdi><span style="display: none;">Q1</span>'
        )
        values = {
            "ObjectName": f"Street &amp; square {photo.number}",
            "LicenseShortName": name,
            "LicenseUrl": f"https://creativecommons.org/{kind}/{part}/{version}",
            "Artist": artist,
            "Credit": '<span class="int-own-work" lang="en">Own work</span>',
            "AttributionRequired": "true",
        }
        return {key: {"value": value, "source": "commons-desc-page"} for key, value in values.items()}


@dataclass
class Flickr:
    """GET /services/rest/."""

    size: int
    base: str

    def answer(self, params: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        content = self._content(params)
        if params.get("format") == "json" and params.get("nojsoncallback") == "1":
            return as_json(content)
        return Answer(200, f"jsonFlickrApi({json.dumps(content)})".encode(), {"Content-Type": "text/javascript"})

    def _content(self, params: Mapping[str, str]) -> dict[str, object]:
        if params.get("api_key") != FLICKR_KEY:
            return {"stat": "fail", "code": 100, "message": "Invalid API Key (Key has invalid format)"}
        if params.get("method") == "flickr.photos.licenses.getInfo":
            licences = [{"id": number, "name": name, "url": url} for number, name, url in FLICKR_LICENCES]
            return {"licenses": {"license": licences}, "stat": "ok"}
        if params.get("method") != "flickr.photos.search":
            return {"stat": "fail", "code": 112, "message": f'Method "{params.get("method")}" not found'}
        if not params.get("text"):
            message = "Parameterless searches have been disabled. Please use flickr.photos.getRecent instead."
            return {"stat": "fail", "code": 3, "message": message}
        return {"photos": self._photos(params), "stat": "ok"}

    def _photos(self, params: Mapping[str, str]) -> dict[str, object]:
        codes = {url.removesuffix("/").rsplit("/", 2)[-2]: number for number, _, url in FLICKR_LICENCES if url}
        numbers = {code: codes[{"cc0": "zero", "pdm": "mark"}.get(code, code)] for code in LICENCES}
        wished = params["license"].split(",")
        found = [photo for photo in catalogue(params["text"], self.size) if numbers[photo.licence] in wished]
        size = min(int(params.get("per_page", 100)), 500)
        pages = -(-len(found) // size)
        page = min(int(params.get("page", 1)), 4000 // size)
        printable = found[(page - 1) * size : page * size]
        photos = [self._photo(photo, numbers[photo.licence]) for photo in printable]
        return {"page": page, "pages": pages, "perpage": size, "total": len(found), "photo": photos}

    def _photo(self, photo: Photo, licence: str) -> dict[str, object]:
        sizes: dict[str, object] = {}
        for name, width in (("l", 1024), ("z", 640)):
            if width <= photo.width and photo.place % 11 != 10:
                address = f"{self.base}/photos/{photo.number}.jpg?size={name}"
                sizes |= {f"url_{name}": address, f"width_{name}": width, f"height_{name}": str(width * 3 // 4)}
        return {
            "id": str(photo.number),
            "owner": f"{photo.number}@N00",
            "secret": "0123456789",
            "title": photo.title,
            "ispublic": 1,
            "license": licence,
            "ownername": photo.author,
            **sizes,
        }


@dataclass
class Google:
    """GET /search?tbm=isch: a page whose scripts hold the addresses."""

    size: int
    base: str
    page_size: int = 100

    def answer(self, params: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        start = int(params["start"])
        printable = catalogue(params["q"], self.size)[start : start + self.page_size]
        entries = ",".join(f'["{self.base}/photos/{photo.number}.jpg",480,640]' for photo in printable)
        script = f"<script>AF_initDataCallback({{key: 'ds:1', data:[{entries}]}});</script>" if entries else ""
        page = f"<!doctype html><html><head><script>var first = 1;</script></head><body>{script}</body></html>"
        return Answer(200, page.encode(), {"Content-Type": "text/html; charset=UTF-8"})
