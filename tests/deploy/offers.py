"""A drop and two products on a deployed stack. They have members and money of their own."""

import json
from datetime import datetime, timedelta, timezone

from caller import must

# Seconds from their making until they open. Nothing may be entered before.
OPENS_IN_S = 1
# What misses its minimum is over soon, so that a run of the schedule in the story settles it.
OPEN_S = 6
SLOT = 70
# The drop has two slots and one place, and four members want them.
WINNERS = ["dora", "dan"]
TARGET = 900
# Beyond what the product takes.
LEFT = 100
MISSED = 40


def after(seconds):
    at = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Offers:
    def __init__(self, story):
        self.stack, self.caller = story.stack, story.caller

    def post(self, user, path, body=None, key=None):
        return self.caller.call("POST", path, user, key=key, json_body=body)

    def make(self, user, path, **terms):
        body = terms | {"opens_at": after(OPENS_IN_S)}
        return self.post(user, path, body, self.caller.new_key()).expect(201, f"{path}")

    def read(self, path):
        return self.caller.call("GET", path, "dora").expect(200, path)

    def until_it_opens(self, try_it):
        """Repeats a request while the answer is that it is not open yet."""
        last = {}

        def is_open():
            last["reply"] = try_it()
            return (last["reply"].json or {}).get("code") not in ("ERR303", "ERR403")

        self.caller.until(is_open, "it does not open")
        return last["reply"]

    # ── The drop ─────────────────────────────────────────────────────────────────────

    def enter(self, user):
        return self.post(user, f"/api/v2/drops/{self.drop}/entries")

    def a_drop_is_entered_until_it_is_sold_out(self):
        caller = self.caller
        caller.deposit("fay", 2 * SLOT)
        terms = {"name": "drop", "slots": 2, "amount": SLOT, "waiting": 1, "closes_at": after(3_600)}
        self.drop = self.make("fay", "/api/v2/drops", **terms)["drop_id"]
        must(caller.balance("fay") == 0, "the funder pays at once")
        first = self.until_it_opens(lambda: self.enter("dora")).expect(201, "an entry")
        second = self.enter("dan").expect(201, "another entry")
        must([first["slot"], second["slot"]] == [1, 2], f"the slots: {first}, {second}")
        place = self.enter("wim").expect(202, "a place")
        must(place == {"state": "waiting", "position": 1}, f"the place: {place}")
        again = self.enter("dora").expect(409, "a second entry")
        must((again["code"], again["slot"]) == ("ERR301", 1), f"a second entry: {again}")
        late = self.enter("zoe").expect(410, "an entry when all is taken")
        must(late["code"] == "ERR302", f"sold out: {late}")
        for winner in WINNERS:
            caller.paid(winner, SLOT)
        path = f"/api/v2/drops/{self.drop}"
        mine = self.read(f"{path}/entries/dora")
        must(mine == {"state": "won", "slot": 1, "payment": "paid"}, f"the entry: {mine}")
        is_sold_out = lambda: self.read(path)["state"] == "sold_out"
        caller.until(is_sold_out, "the drop is not shown as sold out")

    # ── The products ─────────────────────────────────────────────────────────────────

    def listen(self):
        """Everything that is published of products arrives in a queue."""
        stack = self.stack
        queue = stack.sqs.create_queue(QueueName=f"{stack.name}-told")["QueueUrl"]
        names = ["QueueArn"]
        about = stack.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)
        bus = stack.resources["EventBus"]
        pattern = json.dumps({"detail-type": ["product.sold_out"]})
        stack.events.put_rule(Name="told", EventBusName=bus, EventPattern=pattern)
        target = {"Id": "told", "Arn": about["Attributes"]["QueueArn"]}
        stack.events.put_targets(Rule="told", EventBusName=bus, Targets=[target])
        self.told = queue

    def invest(self, user, product, amount, key=None):
        path = f"/api/v2/products/{product}/investments"
        return self.post(user, path, {"amount": amount}, key or self.caller.new_key())

    def a_product_is_sold_out_and_another_misses_its_minimum(self):
        caller, path = self.caller, "/api/v2/products"
        self.listen()
        for user in ("ivy", "ian"):
            caller.deposit(user, TARGET)
        sold = {"title": "sold out", "target": TARGET, "closes_at": after(3_600)}
        self.sold = self.make("ida", path, **sold)["product_id"]
        closes = after(OPENS_IN_S + OPEN_S)
        missed = {"title": "missed", "target": TARGET, "min_raise": TARGET, "closes_at": closes}
        self.missed = self.make("ida", path, **missed)["product_id"]
        self.until_it_opens(lambda: self.invest("ivy", self.missed, MISSED)).expect(201, "missed")
        key = caller.new_key()
        first = self.invest("ivy", self.sold, TARGET - LEFT, key).expect(201, "an investment")
        again = self.invest("ivy", self.sold, TARGET - LEFT, key).expect(201, "a repeat")
        must(again == first and first["remaining"] == LEFT, f"a repeat: {first}, {again}")
        above = self.invest("ian", self.sold, LEFT + 1).expect(409, "more than remains")
        must((above["code"], above["remaining"]) == ("ERR401", LEFT), f"too much: {above}")
        self.invest("ian", self.sold, LEFT).expect(201, "the last investment")
        over = self.invest("ian", self.sold, 1).expect(410, "an investment when all is taken")
        must(over["code"] == "ERR402", f"sold out: {over}")
        caller.until(self.events, "product.sold_out is not published")
        must(self.heard == [self.sold], f"published: {self.heard}")

    def events(self):
        got = self.stack.sqs.receive_message(QueueUrl=self.told, MaxNumberOfMessages=10)
        bodies = [json.loads(one["Body"]) for one in got.get("Messages", [])]
        self.heard = [body["detail"]["product_id"] for body in bodies]
        return self.heard

    # ── The schedule ─────────────────────────────────────────────────────────────────

    def the_products_are_settled_by_the_schedule(self):
        for product, state in ((self.sold, "paid_out"), (self.missed, "refunded")):
            path = f"/api/v2/products/{product}"
            is_settled = lambda: self.read(path)["state"] == state
            self.caller.until(is_settled, f"a product is not {state}")
        has = {user: self.caller.balance(user) for user in ("ida", "ivy", "ian")}
        must(has == {"ida": TARGET, "ivy": LEFT, "ian": TARGET - LEFT}, f"the wallets: {has}")
