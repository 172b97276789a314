"""The malformed requests of tests/flows, sent to the deployed API and to the local one."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor

from caller import Caller, Reply, must

WORKERS = 8
SHOWN = 20
KEY = "idempotency-key"
# What differs from answer to answer.
RANDOM = ("request_id",)


class Target:
    """One API, with the same room, money and spray as in the tests that made the requests."""

    def __init__(self, port, host):
        self.port, self.host = port, host
        caller = Caller(port, host)
        self.room = caller.room("1", ["2"])
        caller.deposit("1", 51_000)
        caller.deposit("2", 50_000)
        self.token = caller.spray("1", self.room, 1_000, 3)
        self.caller = caller

    def here(self, text):
        return text.replace("{room}", self.room).replace("{token}", self.token)

    def send(self, row):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        # Odd methods, headers and paths are the point: leave them as they are.
        connection._validate_method = connection._validate_path = lambda _: None
        try:
            connection.putrequest(
                row["method"], self.here(row["path"]), skip_host=True, skip_accept_encoding=True
            )
            connection.putheader("Host", self.host)
            for name, value in row["headers"]:
                connection.putheader(name, self.here(value).encode("latin-1"))
            body = self.here(row["body"]).encode("latin-1")
            if body or row["method"] in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            try:
                connection.send(body)
            except (BrokenPipeError, ConnectionResetError):
                pass  # A body that is too large may be answered before it is read.
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        except (OSError, http.client.HTTPException) as error:
            return Reply(0, {}, repr(error).encode())
        finally:
            connection.close()

    def answer(self, row):
        """What must be the same everywhere."""
        reply = self.send(row)
        body = reply.json if isinstance(reply.json, dict) else {"text": repr(reply.body[:200])}
        shown = {key: value for key, value in body.items() if key not in RANDOM}
        shown = json.dumps(shown, sort_keys=True).replace(self.room, "{room}")
        kind = reply.headers.get("content-type")
        answer = {"status": reply.status, "code": body.get("code"), "type": kind, "body": shown}
        # The order of methods says nothing.
        answer["allow"] = sorted(part.strip() for part in reply.headers.get("allow", "").split(","))
        answer["retry-after"] = reply.headers.get("retry-after")
        answer["x-request-id"] = bool(reply.headers.get("x-request-id"))
        return answer

    def money(self):
        return [self.caller.wallet(user) for user in ("1", "2")]


def read(table):
    with open(table) as lines:
        rows = {line for line in lines}
    must(len(rows) > 1_000, f"{len(rows)} malformed requests")
    return [json.loads(line) for line in sorted(rows)]


def compare(table, deployed, local):
    rows = read(table)
    deployed, local = Target(*deployed), Target(*local)
    before = deployed.money(), local.money()

    def differs(row):
        near = local.answer(row)
        verdict = {"status": row["status"], "code": row["code"] or None}
        if {key: near[key] for key in verdict} != verdict:
            return row, near, verdict
        if is_not_sent(row):
            return None
        far = deployed.answer(row)
        if is_joined(row):
            far, near = (refusal(row, one) for one in (far, near))
        return (row, far, near) if far != near else None

    with ThreadPoolExecutor(WORKERS) as pool:
        wrong = [found for found in pool.map(differs, rows) if found]
    for row, is_so, should in wrong[:SHOWN]:
        what = f"{row['path'][:120]} {str(row['headers'])[:200]} {row['body'][:80]!r}"
        print(f"  {row['method']} {what}")
        print(f"    answer {is_so}\n    wanted {should}")
    must((deployed.money(), local.money()) == before, "a malformed request moved money")
    must(not wrong, f"{len(wrong)} of {len(rows)} malformed requests are answered differently")
    not_sent, joined = (sum(map(kind, rows)) for kind in (is_not_sent, is_joined))
    print(
        f"  {len(rows)} malformed requests are answered alike, deployed and local"
        f" ({joined} compared by status and code only, {not_sent} not sent to the emulator)"
    )


def is_joined(row):
    """A gateway joins headers of one name with a comma, as AWS does too, so nothing behind it can
    tell a repeated header from a value with a comma. Both are refused; the explanation differs."""
    names = [name for name, _ in row["headers"] if name in ("x-user-id", "x-room-id", KEY)]
    has_comma = any("," in value for name, value in row["headers"] if name in names)
    return has_comma or len(set(names)) < len(names)


def refusal(row, answer):
    """Status and code. v1 takes any text for a room, so to v1 a joined one is a room that the
    caller is not in: 403 deployed, 422 local."""
    names = [name for name, _ in row["headers"]]
    if row["path"].startswith("/api/v1/") and names.count("x-room-id") > 1:
        return 400 <= answer["status"] < 500
    return answer["status"], answer["code"]


def is_not_sent(row):
    """What never reaches a function on the emulator as it was sent (README.md)."""
    if row["method"] == "OPTIONS":
        return True
    # v2 refuses these bodies for another reason as well, and is asked.
    if row["path"].startswith("/api/v2/"):
        return False
    try:
        row["body"].encode("latin-1").decode()
    except UnicodeDecodeError:
        return True
    return False
