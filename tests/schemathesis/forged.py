"""Requests to every route by callers who must not be admitted, compared with docs/openapi.json.

What a signature covers and the order of the checks are tested in Rust (tests/flows/auth). Here the
matter is that no route is left out and that each refusal is the documented one.
"""

import time
from collections import Counter

import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from caller import must
from signing import Signature

# Well-formed, and of no resource: a request that is admitted by mistake changes nothing.
UNKNOWN = {"id": "01K9Z3NDEKTSV4RRFFQ69G5FAV", "room": "01K9Z3NDEKTSV4RRFFQ69G5FAV", "user": "ann"}
UNKNOWN |= {"token": "zzz", "n": "1", "member": "00042", "room_id": "1"}
SIGNED = ("Authorization", "X-Timestamp", "X-Nonce", "X-Signature")
MALFORMED = [
    ("Authorization", "Basic YTpi"),
    ("Authorization", "Bearer lgs_1"),
    ("X-Timestamp", "-1"),
    ("X-Timestamp", "1e9"),
    ("X-Nonce", "short"),
    ("X-Nonce", "n" * 65),
    ("X-Signature", ""),
    ("X-Signature", "v1=zz"),
]
# What Schemathesis checks of every answer. Its other checks are about what was sent.
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# Seconds beyond the window of 300, with time for a slow machine.
BEYOND_S = 400


class Callers:
    """The keys that requests are forged with."""

    def __init__(self, caller, good):
        self.good = good
        self.caller = caller
        # Asked for only when it is revoked: a process keeps a key that it knows for 30 s.
        self.revoked, revoked_id = self.key("revoked", SCOPES)
        reply = caller.call("DELETE", f"/api/v2/keys/{revoked_id}")
        reply.expect(204, "a revocation")
        # A documentation address (RFC 5737).
        self.elsewhere, _ = self.key("elsewhere", SCOPES, ips=["192.0.2.1"])
        self.without = {}

    def key(self, owner, scopes, **more):
        wanted = {"owner": owner, "scopes": scopes} | more
        made = self.caller.call("POST", "/api/v2/keys", json_body=wanted).expect(201, "a key")
        return Signature(made["key"], made["secret"]), made["key_id"]

    def without_scope(self, scope):
        """The holder of a key with every scope but that one."""
        if scope not in self.without:
            scopes = [one for one in SCOPES if one != scope]
            self.without[scope], _ = self.key("narrow", scopes)
        return self.without[scope]


SCOPES = ["spray", "drop", "invest", "wallet", "read", "operate"]
SCOPES += ["campaign:write", "campaign:approve", "campaign:force"]


class Request:
    """A request that its route may refuse, but only after its caller was admitted."""

    def __init__(self, operation):
        self.method = operation.method.upper()
        self.path = operation.path.format_map(UNKNOWN)
        self.body = b"" if self.method in ("GET", "DELETE") else b"{}"
        # It is no user of v1, so that its routes do nothing.
        self.headers = {"X-USER-ID": "ann", "Content-Type": "application/json"}
        [self.scope] = operation.definition.raw["security"][0]["key"]

    def signed(self, by, **fixed):
        signed = by.headers(self.method, self.path, self.headers, self.body, **fixed)
        return self.headers | signed

    def forged(self, callers):
        """(what, status, reason, what is sent otherwise) of each request that must be refused."""
        good, now = callers.good, int(time.time())
        headers = self.signed(good)

        def other(what, reason="signature", status=401, **sent):
            usual = {"headers": headers, "path": self.path, "data": self.body}
            return what, status, reason, usual | sent

        yield other("without all", "missing", headers=self.headers)
        for name in SIGNED:
            left = {one: value for one, value in headers.items() if one != name}
            yield other(f"without {name}", "missing", headers=left)
        for name, value in MALFORMED:
            yield other(f"{name} {value}", "malformed", headers=headers | {name: value})
        yield other("another user", headers=headers | {"X-USER-ID": "ann,bob"})
        yield other("another room", headers=headers | {"X-ROOM-ID": UNKNOWN["room"]})
        yield other("another query", path=f"{self.path}?limit=1")
        yield other("another body", data=self.body + b" ")
        yield other("another secret", headers=self.signed(Signature(good.key, "0" * 64)))
        yield other("a revoked key", "key", headers=self.signed(callers.revoked))
        for at in (now - BEYOND_S, now + BEYOND_S):
            yield other(f"{at - now:+} s", "clock", headers=self.signed(good, timestamp=at))
        elsewhere, narrow = callers.elsewhere, callers.without_scope(self.scope)
        yield other("from another address", None, 403, headers=self.signed(elsewhere))
        yield other(f"without {self.scope}", None, 403, headers=self.signed(narrow))
        yield other("admitted", None, None)
        yield other("again", "nonce")


def secured(document):
    """The operations that need a signature, ready to compare answers with."""
    schema = schemathesis.openapi.from_dict(document)
    found = (result.ok() for result in schema.get_all_operations())
    return [operation for operation in found if "security" in operation.definition.raw]


def try_all(caller, document, good):
    """Sends them to every operation. Gives how many answers of each kind came."""
    callers, answers = Callers(caller, good), Counter()
    session = requests.Session()
    for operation in secured(document):
        request = Request(operation)
        for what, status, reason, sent in request.forged(callers):
            url = f"http://127.0.0.1:{caller.port}{sent.pop('path')}"
            reply = session.request(request.method, url, **sent, timeout=60)
            case = operation.Case(path_parameters=UNKNOWN)
            case.validate_response(reply, checks=CHECKS)
            label = f"{request.method} {url}, {what}: {reply.status_code} {reply.text[:300]}"
            if status is None:
                must(reply.status_code != 401 and "API key" not in reply.text, label)
                answers["admitted"] += 1
                continue
            must(reply.status_code == status, label)
            must(reply.json().get("reason") == reason, label)
            answers[f"{status} {reason or reply.json()['code']}"] += 1
    return answers
