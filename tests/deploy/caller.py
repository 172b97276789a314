"""A caller of the API, and what it takes for granted."""

import http.client
import json
import time


class Red(Exception):
    """Something is not as it must be."""


def must(holds, what):
    if not holds:
        raise Red(what)


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None

    def expect(self, status, what):
        must(self.status == status, f"{what}: {self.status} {self.body[:300]}")
        return self.json


class Caller:
    """Calls the API of one stack. `patience` is how long it waits for what happens by itself. `sign`
    gives the headers that sign a request; without it, none is signed."""

    def __init__(self, port, host, patience=60, sign=None):
        self.sign = sign
        self.port = port
        self.host = host
        self.patience = patience
        self.keys = 0

    def call(self, method, path, user=None, room=None, key=None, json_body=None, content=None):
        """`content` is a body that is not JSON, behind its type."""
        headers = {"Host": self.host}
        headers |= {"X-USER-ID": user} if user else {}
        headers |= {"X-ROOM-ID": room} if room else {}
        headers |= {"Idempotency-Key": key} if key else {}
        body = None
        if json_body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(json_body)
        if content is not None:
            headers["Content-Type"], body = content
        if self.sign:
            headers |= self.sign(method, path, headers, body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return Reply(reply.status, dict(reply.getheaders()), reply.read())
        finally:
            connection.close()

    def until(self, happens, what):
        """Waits until `happens()` is true; gives what it gave."""
        ends_at = time.monotonic() + self.patience
        while not (result := happens()):
            must(time.monotonic() < ends_at, f"{what}, after {self.patience} s")
            time.sleep(0.2)
        return result

    def new_key(self):
        self.keys += 1
        return f"key-{self.keys}"

    def deposit(self, user, amount):
        path = f"/api/v2/wallets/{user}/deposits"
        made = self.call("POST", path, user, key=self.new_key(), json_body={"amount": amount})
        return made.expect(201, f"{user} deposits")

    def room(self, owner, members):
        body = {"name": "room", "members": members}
        made = self.call("POST", "/api/v2/rooms", owner, json_body=body)
        return made.expect(201, "a room")["room_id"]

    def spray(self, sender, room, amount, recipients, split="equal", expires_in_s=600):
        body = {"amount": amount, "recipients": recipients, "split": split}
        body["expires_in_s"] = expires_in_s
        made = self.call("POST", "/api/v2/sprays", sender, room, self.new_key(), body)
        return made.expect(201, f"{sender} sprays")["token"]

    def claim(self, user, room, token):
        return self.call("POST", f"/api/v2/sprays/{token}/claims", user, room)

    def wallet(self, user):
        found = self.call("GET", f"/api/v2/wallets/{user}", user)
        return found.expect(200, f"the wallet of {user}") if found.status != 404 else {"balance": 0}

    def balance(self, user):
        return self.wallet(user)["balance"]

    def paid(self, user, balance):
        self.until(lambda: self.balance(user) == balance, f"{user} is not paid {balance}")
