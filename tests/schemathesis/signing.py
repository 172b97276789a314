"""Signs requests as docs/signing.md says."""

import hashlib
import hmac
import os
import time
import uuid
from urllib.parse import unquote

from requests.auth import AuthBase


class Signature(AuthBase):
    """The holder of a key. It signs what is sent: the last step before a request leaves."""

    def __init__(self, key, secret):
        self.key = key
        self.secret = secret

    def __call__(self, request):
        signed = self.headers(request.method, request.path_url, request.headers, request.body)
        request.headers.update(signed)
        return request

    def headers(self, method, target, headers, body, timestamp=None, nonce=None):
        """The four headers of a request to that path and query."""
        path, _, query = target.partition("?")
        body = body or b""
        body = body.encode() if isinstance(body, str) else body
        timestamp, nonce = str(timestamp or int(time.time())), nonce or uuid.uuid4().hex
        parts = [
            "v1",
            method,
            unquote(path),
            query,
            timestamp,
            nonce,
            headers.get("X-USER-ID", ""),
            headers.get("X-ROOM-ID", ""),
            hashlib.sha256(body).hexdigest(),
        ]
        mac = hmac.new(self.secret.encode(), "\n".join(parts).encode(), hashlib.sha256)
        return {
            "Authorization": f"Bearer {self.key}",
            "X-Timestamp": timestamp,
            "X-Nonce": nonce,
            "X-Signature": f"v1={mac.hexdigest()}",
        }


def of_environment():
    return Signature(os.environ["LARGESSE_KEY"], os.environ["LARGESSE_SECRET"])
