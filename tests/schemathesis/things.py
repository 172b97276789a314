"""Makes one of each resource, so that generated requests find more than 404."""

from datetime import datetime, timedelta, timezone

PLENTY = 900_000_000_000
TERMS = {"name": "October", "default_reason": "attendance"}


def make(caller):
    for user in ("ann", "bob", "7", "8"):
        caller.deposit(user, PLENTY)
    room = caller.room("ann", ["bob", "eve", "7", "8"])
    things = {
        "room": room,
        # 1,000 shares, so that it is not empty soon.
        "token": caller.spray("bob", room, 1_000_000, 1_000),
        # Only its sender reads a spray in v1.
        "v1 token": caller.spray("8", room, 1_000, 10),
        "drops": made(caller, "drops", "drop_id", name="Opening day", slots=100, amount=10, **times()),
        "products": made(caller, "products", "product_id", title="Solar park 7", target=1_000_000, **times()),
        "wallets": newest(caller, "/api/v2/wallets/ann/transactions", "ann", "transaction_id"),
        "v1 transactions": newest(caller, "/api/v1/transactions", "7", "id"),
    }
    things["campaigns"], things["content_hash"] = campaign(caller)
    things["to approve"], things["hash to approve"] = campaign(caller, approvals=1)
    tomorrow = times()["closes_at"]
    things["to stop"], content = campaign(caller, starts_at=tomorrow)
    things["to force"], _ = campaign(caller)
    things["to parts/{n}"] = made(caller, "campaigns", "campaign_id", **TERMS)
    # Not of the key that signs: it must go on working.
    for name in ("keys", "to rotate"):
        wanted = {"owner": "generated", "scopes": ["read"]}
        key = caller.call("POST", "/api/v2/keys", json_body=wanted).expect(201, "a key")
        things[name] = key["key_id"]
    start = f"/api/v2/campaigns/{things['to stop']}/start"
    caller.call("POST", start, "ann", json_body={"content_hash": content}).expect(202, "a start")
    return things


def times():
    now = datetime.now(timezone.utc)
    open_and_close = {"opens_at": now - timedelta(hours=1), "closes_at": now + timedelta(days=1)}
    return {name: at.strftime("%Y-%m-%dT%H:%M:%SZ") for name, at in open_and_close.items()}


def made(caller, noun, id_field, **terms):
    reply = caller.call("POST", f"/api/v2/{noun}", "ann", key=caller.new_key(), json_body=terms)
    return reply.expect(201, noun)[id_field]


def newest(caller, path, user, id_field):
    return caller.call("GET", path, user).expect(200, path)["transactions"][0][id_field]


def campaign(caller, **terms):
    """A sealed campaign and its hash: everything but to send parts can be done to it."""
    campaign = made(caller, "campaigns", "campaign_id", **TERMS, **terms)
    path = f"/api/v2/campaigns/{campaign}"
    rows = "member_id,amount\n00042,1000\nkim,2500\nkim,1\nlee,\n"
    caller.call("PUT", f"{path}/parts/1", "ann", content=("text/csv", rows)).expect(200, "a part")
    caller.call("POST", f"{path}/seal", "ann").expect(202, "a seal")

    def sealed():
        return caller.call("GET", path, "ann").expect(200, path).get("sealed")

    found = caller.until(sealed, "the campaign is not sealed")
    return campaign, found["content_hash"]
