"""What Schemathesis cannot read from docs/openapi.json: which resources exist, how a request is
signed, and which rules no schema can state. run.py names this file to it.
"""

import itertools
import json
import os
import re
from datetime import datetime, timedelta, timezone

import schemathesis
from schemathesis.core.parameters import ParameterLocation as In

import signing
from rules import is_beyond_the_schema

# What run.py has made: see things.py.
THINGS = json.loads(os.environ["LARGESSE_THINGS"])
# One line for each answer: the operation, the status and the code of a refusal. run.py reads it.
ANSWERS = open(os.environ["LARGESSE_ANSWERS"], "a", buffering=1)
# One request in so many keeps what was generated, so that unknown resources and strangers come too.
KEPT_ONE_IN = 5
SLOTS_MAX = 1_000
# No schema says what rows are.
ROWS = {
    "text/csv": "member_id,amount\nann,1\n",
    "application/jsonl": '{"member_id":"ann","amount":1}\n',
}

numbers = itertools.count()
# Signs what is sent, whatever was generated. Schemathesis also sends each operation without it.
schemathesis.auth.set_from_requests(signing.of_environment())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts resources that exist into the valid parts of a request. What is invalid on purpose stays as
    it is."""
    number = next(numbers)
    if case.headers:
        # It passes for a fault, but HTTP lets any header be sent.
        case.headers.pop("x-schemathesis-unknown-property", None)
    valid = {place for place, part in case.meta.components.items() if part.mode.is_positive}
    if In.HEADER in valid and "Idempotency-Key" in (case.headers or {}):
        # A key that was used with another request is refused.
        case.headers["Idempotency-Key"] = f"schemathesis-{number}"
    if In.BODY in valid and isinstance(case.body, dict) and "slots" in case.body:
        # Many slots take seconds in a debug build, and tell no more.
        case.body["slots"] = min(case.body["slots"], SLOTS_MAX)
    if number % KEPT_ONE_IN:
        if In.PATH in valid:
            fill(case.path_parameters, path_values(case.operation.path))
        if In.HEADER in valid:
            fill(case.headers, header_values(case.operation.path, number))
        if In.BODY in valid and case.operation.path.endswith("/parts/{n}"):
            case.body = ROWS[case.media_type]
        if In.BODY in valid and isinstance(case.body, dict):
            fill(case.body, body_values(case.operation.path, number))


def fill(part, values):
    for name in values.keys() & (part or {}).keys():
        part[name] = values[name]


def path_values(path):
    values = {"room": THINGS["room"], "room_id": THINGS["room"], "user": "ann", "member": "00042"}
    values["token"] = THINGS["v1 token" if path == "/api/v1/spray/{token}" else "token"]
    noun = path.split("/")[3]
    values["id"] = THINGS.get(noun if path.startswith("/api/v2/") else f"v1 {noun}")
    if path.endswith("/members/{user}"):
        values["user"] = "eve"
    for action in ("approve", "force", "parts/{n}", "rotate", "stop"):
        if path.endswith(f"/{action}"):
            values["id"] = THINGS[f"to {action}"]
    return values


def header_values(path, number):
    user = "7" if path.startswith("/api/v1/") else ("ann", "ann", "bob")[number % 3]
    if path == "/api/v1/spray/{token}":
        user = "8"
    if path.endswith("/approve") or path == "/api/v2/sprays/{token}":
        # Not the campaign's creator; the sender of the spray.
        user = "bob"
    return {"X-USER-ID": user, "X-ROOM-ID": THINGS["room"]}


def body_values(path, number):
    now = datetime.now(timezone.utc)
    times = {"opens_at": now - timedelta(hours=1), "closes_at": now + timedelta(hours=number % 9)}
    values = {name: at.strftime("%Y-%m-%dT%H:%M:%SZ") for name, at in times.items()}
    content = THINGS["hash to approve" if path.endswith("/approve") else "content_hash"]
    return values | {"content_hash": content, "token": THINGS["token"]}


@schemathesis.hook
def after_call(context, case, response):
    is_json = "json" in response.headers.get("content-type", [""])[0]
    code = response.json()["code"] if is_json and response.status_code >= 400 else ""
    ANSWERS.write(f"{case.method} {case.operation.path} {response.status_code} {code}\n")


@schemathesis.check
def valid_data_is_refused_only_for_a_rule_that_no_schema_states(context, response, case):
    """In place of `positive_data_acceptance`, which takes every 400 for a fault."""
    if not case.meta.generation.mode.is_positive or response.status_code not in (400, 413, 415, 422):
        return
    problem = response.json()
    for field, code in faults(problem):
        assert is_beyond_the_schema(case.operation.path, field, code), (
            f"{field} is {code}: say so in docs/openapi.json, or in rules.py: {response.text}"
        )


def faults(problem):
    """The faulty fields of a refusal. Other codes than ERR001 are outcomes, and no faults."""
    if problem["code"] != "ERR001":
        return []
    if "errors" in problem:
        return [(re.sub(r"\[\d+\]", "[]", one["field"]), one["code"]) for one in problem["errors"]]
    if isinstance(problem["detail"], list):
        return [(str(one["loc"][-1]).lower(), one["type"]) for one in problem["detail"]]
    return [("", problem["detail"])]
