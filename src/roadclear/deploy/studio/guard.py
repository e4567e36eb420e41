"""Guard of the page: other web pages can neither drive the studio nor look into it, and the page loads nothing else."""

import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
)
_OWN = (b"same-origin", b"none")


class SameSite:
    """ASGI application that refuses what a page of another site asked for, and adds headers to every answer.

    Browsers say in `Sec-Fetch-Site` who asks (W3C, "Fetch Metadata Request Headers"). A page of another site may lead
    a person here, and nothing else. `roadclear.deploy.serve.guard.Guard` checks the host and the origin before.

    Args:
        app: application that answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is refused, or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message.get("headers", ())}
                added = [(name, value) for name, value in _HEADERS if name not in given]
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        headers = dict(scope["headers"])
        leads_here = scope["method"] == "GET" and scope["path"] == "/" and headers.get(b"sec-fetch-mode") == b"navigate"
        if headers.get(b"sec-fetch-site", b"none") not in _OWN and not leads_here:
            body = json.dumps({"error": "a page of another site may not ask"}).encode()
            kind = [(b"content-type", b"application/json")]
            await with_headers({"type": "http.response.start", "status": 403, "headers": kind})
            await send({"type": "http.response.body", "body": body})
            return
        await self._app(scope, receive, with_headers)
