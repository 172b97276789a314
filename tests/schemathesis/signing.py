"""Signs requests as docs/auth.md says, when LARGESSE_KEY and LARGESSE_SECRET are set."""

import hashlib
import hmac
import os
import time
import uuid
from urllib.parse import unquote, urlsplit

from requests.auth import AuthBase


class Signature(AuthBase):
    def __init__(self, key, secret):
        self.key = key
        self.secret = secret

    def __call__(self, request):
        url = urlsplit(request.url)
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        timestamp, nonce = str(int(time.time())), uuid.uuid4().hex
        parts = [
            "v1",
            request.method,
            unquote(url.path),
            url.query,
            timestamp,
            nonce,
            request.headers.get("X-USER-ID", ""),
            request.headers.get("X-ROOM-ID", ""),
            hashlib.sha256(body).hexdigest(),
        ]
        mac = hmac.new(self.secret.encode(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()
        request.headers["Authorization"] = f"Bearer {self.key}"
        request.headers["X-Timestamp"] = timestamp
        request.headers["X-Nonce"] = nonce
        request.headers["X-Signature"] = f"v1={mac}"
        return request


def of_environment():
    """None when nothing is to be signed: the API runs with AUTH=open."""
    key, secret = os.environ.get("LARGESSE_KEY"), os.environ.get("LARGESSE_SECRET")
    return Signature(key, secret) if key and secret else None
