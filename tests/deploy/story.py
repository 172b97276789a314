"""What is played on a deployed stack. Each part fails with `Red`."""

import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from caller import Caller, must

BALANCE_MAX = 9_007_199_254_740_991
# Of the template: receives until the grants queue gives a message to its dead-letter queue.
RECEIVES_MAX = 500
# More shares than a bucket has, so that the crowd meets a full bucket and goes on to the next.
CROWD = 40
SHARES = 34
AMOUNT = 10_007


class Story:
    def __init__(self, stack, patience=60):
        self.stack = stack
        self.caller = Caller(stack.emulator.port, stack.host, patience)
        self.lambdas = stack.lambdas
        # What came in, and what lies in sprays: with the wallets, that is all the money there is.
        self.deposited = 0
        self.in_sprays = 0

    # ── What it looks at ─────────────────────────────────────────────────────────────

    def log(self, pattern):
        """The log lines of the functions that match; each once."""
        found, token = [], {}
        group = f"/{self.stack.name}/functions"
        while True:
            page = self.stack.logs.filter_log_events(logGroupName=group, limit=10_000, **token)
            found += [
                one["message"] for one in page["events"] if re.search(pattern, one["message"])
            ]
            if "nextToken" not in page:
                return found
            token = {"nextToken": page["nextToken"]}

    def records_of_the_outbox(self):
        return sum(json.loads(line)["batch.records"] for line in self.log('"batch.records"'))

    def queue(self, logical):
        return self.stack.resources[logical]

    def depth(self, logical):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.stack.sqs.get_queue_attributes(
            QueueUrl=self.queue(logical), AttributeNames=names
        )["Attributes"]
        return sum(int(found[name]) for name in names)

    def switch(self, mapping, on):
        self.lambdas.update_event_source_mapping(UUID=self.stack.resources[mapping], Enabled=on)
        wanted = "Enabled" if on else "Disabled"

        def is_switched():
            found = self.lambdas.get_event_source_mapping(UUID=self.stack.resources[mapping])
            return found["State"] == wanted

        self.caller.until(is_switched, f"{mapping} is not {wanted}")

    def deposit(self, user, amount):
        self.deposited += amount
        return self.caller.deposit(user, amount)

    def spray(self, amount, recipients, **terms):
        self.in_sprays += amount
        return self.caller.spray("ann", self.room, amount, recipients, **terms)

    def claim(self, user, token):
        share = self.caller.claim(user, self.room, token).expect(201, f"{user} claims")["amount"]
        self.in_sprays -= share
        return share

    # ── The parts ────────────────────────────────────────────────────────────────────

    def only_draws_reach_the_outbox(self):
        """First, on an untouched stack. Three buckets are made and one is drawn from: the filter of
        the stream's mapping lets one record through."""
        caller = self.caller
        self.deposit("ann", 100_000)
        self.members = [f"m{n:02}" for n in range(CROWD)]
        self.room = caller.room("ann", [*self.members, "full", "late"])
        for _ in range(2):
            self.spray(30, 3)
        self.short = self.spray(1_000, 3, expires_in_s=10)
        self.short_since = time.monotonic()
        share = self.claim("late", self.short)
        caller.paid("late", share)
        self.late = share
        records = self.records_of_the_outbox()
        must(records == 1, f"the outbox was given {records} records, but there is one draw")

    def answers_and_errors(self):
        caller, room = self.caller, self.room
        key, path = caller.new_key(), "/api/v2/wallets/ann/deposits"
        first = caller.call("POST", path, "ann", key=key, json_body={"amount": 500})
        first.expect(201, "a deposit")
        self.deposited += 500
        again = caller.call("POST", path, "ann", key=key, json_body={"amount": 500})
        must(again.expect(201, "a replay") == first.json, "a replay has the first answer")
        other = caller.call("POST", path, "ann", key=key, json_body={"amount": 501})
        other.expect(422, "a key with another body")
        caller.call("POST", path, "ann", json_body={"amount": 5}).expect(400, "no key")
        self.sprays_under_one_key()
        self.members_come_and_go()
        caller.call("POST", path, "bob", key="k", json_body={"amount": 5}).expect(403, "another's")
        caller.claim("stranger", room, self.short).expect(403, "a stranger")
        caller.claim("ann", room, self.short).expect(403, "an own spray")
        caller.claim("late", room, self.short).expect(409, "a second claim")
        caller.call("GET", "/nope", "ann").expect(404, "no route")
        caller.call("GET", "/api/v2/health").expect(200, "health")
        caller.call("GET", "/api/openapi.json").expect(200, "the description")
        old = caller.call("GET", "/api/v1/wallet/balance", "7").expect(200, "v1")
        must(old == {"user_id": 7, "balance": 0}, f"v1: {old}")

    def sprays_under_one_key(self):
        """The first answer again; and a member without money, seen in the same room at once."""
        caller, path = self.caller, "/api/v2/sprays"
        body = {"amount": 40, "recipients": 2, "split": "equal", "expires_in_s": 600}
        key = caller.new_key()
        first = caller.call("POST", path, "ann", self.room, key, body).expect(201, "a spray")
        self.in_sprays += 40
        again = caller.call("POST", path, "ann", self.room, key, body).expect(201, "a replay")
        must(again == first, f"a replay has another answer: {first}, {again}")
        poor = caller.call("POST", path, "m00", self.room, caller.new_key(), body)
        poor.expect(409, "a spray without money")

    def members_come_and_go(self):
        caller, path = self.caller, f"/api/v2/rooms/{self.room}"
        for who in ("ann", "m00"):
            caller.call("PUT", f"{path}/members/guest", who).expect(204, f"{who} adds a member")
        caller.call("GET", path, "guest").expect(200, "a member reads the room")
        caller.call("DELETE", f"{path}/members/guest", "ann").expect(204, "a member is removed")
        key, body = caller.new_key(), {"name": "another"}
        rooms = [caller.call("POST", "/api/v2/rooms", "ann", key=key, json_body=body) for _ in "12"]
        first, again = (made.expect(201, "a room") for made in rooms)
        must(again == first, f"a replay has another answer: {first}, {again}")

    def a_crowd_is_paid_once_though_all_is_sent_twice(self):
        """The payments wait, so that each message can be copied before it is delivered."""
        caller, stack = self.caller, self.stack
        self.switch("GrantPayFunctionGrants", False)
        token = self.spray(AMOUNT, SHARES, split="random")
        with ThreadPoolExecutor(CROWD) as pool:
            replies = list(pool.map(lambda m: caller.claim(m, self.room, token), self.members))
        self.won = {m: r.json["amount"] for m, r in zip(self.members, replies) if r.status == 201}
        statuses = sorted(reply.status for reply in replies)
        must(statuses == [201] * SHARES + [409] * (CROWD - SHARES), f"the crowd got {statuses}")
        must(sum(self.won.values()) == AMOUNT, f"the shares are {self.won}")
        self.in_sprays -= AMOUNT

        queue, seen = self.queue("GrantsQueue"), {}

        def all_are_seen():
            got = stack.sqs.receive_message(
                QueueUrl=queue,
                MaxNumberOfMessages=10,
                VisibilityTimeout=120,
                MessageSystemAttributeNames=["MessageGroupId"],
            )
            for one in got.get("Messages", []):
                seen[one["MessageId"]] = one
            return len(seen) == SHARES

        caller.until(all_are_seen, "the outbox did not send every share")
        for at, one in enumerate(seen.values()):
            stack.sqs.send_message(
                QueueUrl=queue,
                MessageBody=one["Body"],
                MessageGroupId=one["Attributes"]["MessageGroupId"],
                MessageDeduplicationId=f"copy-{at}",
            )
            stack.sqs.change_message_visibility(
                QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"], VisibilityTimeout=0
            )
        self.switch("GrantPayFunctionGrants", True)
        for member, amount in self.won.items():
            caller.paid(member, amount)
        caller.until(lambda: self.depth("GrantsQueue") == 0, "messages are left")
        self.everybody_has_what_they_won()

        # The sender's view, page by page.
        view = caller.call("GET", f"/api/v2/sprays/{token}", "ann", self.room).expect(200, "a view")
        must({c["user"]: c["amount"] for c in view["claims"]} == self.won, f"the view: {view}")
        caller.call("GET", f"/api/v2/sprays/{token}", "m00", self.room).expect(
            403, "not the sender"
        )

    def the_sweep_finds_everybody_paid(self):
        """Buckets wait five minutes for their sweep; here they are put in front of it."""
        pools, dynamodb = f"{self.stack.name}-pools", self.stack.dynamodb
        waiting = [one for one in dynamodb.scan(TableName=pools)["Items"] if "sweep_ms" in one]
        for bucket in waiting:
            dynamodb.update_item(
                TableName=pools,
                Key={"pk": bucket["pk"]},
                UpdateExpression="SET sweep_ms = :past",
                ExpressionAttributeValues={":past": {"N": "1"}},
            )
        name = self.stack.resources["PoolSweepFunction"]
        ran = self.lambdas.invoke(FunctionName=name, Payload=b"{}")
        told = json.loads(ran["Payload"].read())
        must("FunctionError" not in ran, f"pool-sweep: {told}")
        must(told["buckets"] == len(waiting) >= 3, f"{len(waiting)} buckets wait: {told}")
        must(told["resent"] == 0, f"pool-sweep sends again what is paid: {told}")

    def the_archive_finds_nothing_old(self):
        name = self.stack.resources["ArchiveFunction"]
        for outcome in ("worked", "idle"):
            ran = self.lambdas.invoke(FunctionName=name, Payload=b"{}")
            report = json.loads(ran["Payload"].read())
            must("FunctionError" not in ran, f"archive fails: {report}")
            # Its schedule may have begun the pass before.
            must(report["outcome"] in (outcome, "idle"), f"archive: {report}")
            must(report["things"] == 0, f"archive: {report}")

    def everybody_has_what_they_won(self):
        for member in self.members:
            has, won = self.caller.balance(member), self.won.get(member, 0)
            must(has == won, f"{member} has {has} and won {won}")

    def histories(self):
        caller, path = self.caller, "/api/v2/wallets/ann/transactions"
        rows, query = [], "?limit=2"
        while True:
            page = caller.call("GET", path + query, "ann").expect(200, "a page")
            rows += page["transactions"]
            if "next_cursor" not in page:
                break
            query = f"?limit=2&cursor={page['next_cursor']}"
            bad = f"?limit=2&cursor={page['next_cursor'][:-2]}xx"
            caller.call("GET", path + bad, "ann").expect(400, "a forged cursor")
        ids = [row["transaction_id"] for row in rows]
        must(len(set(ids)) == len(ids), "a row is shown twice")
        kinds = sorted(row["type"] for row in rows)
        must(kinds.count("deposit") == 2 and kinds.count("spray") == 5, f"the rows: {kinds}")
        sprays = caller.call("GET", "/api/v2/sprays", "ann").expect(200, "sprays")["sprays"]
        must(len(sprays) == 5, f"{len(sprays)} sprays")

    def a_message_that_cannot_be_read_holds_up_nobody(self):
        caller = self.caller
        self.stack.sqs.send_message(
            QueueUrl=self.queue("GrantsQueue"),
            MessageBody='{"this is":"no grant"}',
            MessageGroupId="m01",
            MessageDeduplicationId="poison",
        )
        is_told = lambda: self.log("an unreadable message")
        caller.until(is_told, "grant-pay does not say that it cannot read")
        token = self.spray(30, 3)
        share = self.claim("m00", token)
        self.won["m00"] = self.won.get("m00", 0) + share
        caller.paid("m00", self.won["m00"])
        must(self.depth("GrantsQueue") == 1, "the message is not kept")

    def an_entry_that_no_draw_wrote_goes_to_the_outboxs_queue(self):
        caller, pools = self.caller, f"{self.stack.name}-pools"
        token = self.spray(77, 7)
        before = self.depth("OutboxDlq")
        share = self.claim("m02", token)
        self.won["m02"] = self.won.get("m02", 0) + share
        found = self.stack.dynamodb.scan(TableName=pools)["Items"]
        buckets = [one for one in found if one.get("size", {}).get("N") == "7"]
        must(len(buckets) == 1, f"{len(buckets)} buckets of seven")
        self.stack.dynamodb.update_item(
            TableName=pools,
            Key={"pk": buckets[0]["pk"]},
            UpdateExpression="SET draws.#m = :entry",
            ExpressionAttributeNames={"#m": "nobody"},
            ExpressionAttributeValues={":entry": {"N": "9"}},
        )
        is_kept = lambda: self.depth("OutboxDlq") > before
        caller.until(is_kept, "the outbox's dead-letter queue is empty")
        caller.paid("m02", self.won["m02"])

    def a_message_received_too_often_is_dead_lettered(self):
        sqs, queue = self.stack.sqs, self.queue("GrantsQueue")
        self.switch("GrantPayFunctionGrants", False)
        before = self.depth("GrantsDlq")
        sqs.send_message(
            QueueUrl=queue,
            MessageBody="no grant",
            MessageGroupId="g",
            MessageDeduplicationId="often",
        )
        for _ in range(RECEIVES_MAX + 1):
            sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
        after = self.depth("GrantsDlq")
        self.switch("GrantPayFunctionGrants", True)
        must(after == before + 1, "the message is not in the dead-letter queue of the grants queue")

    def set_balance(self, user, balance):
        self.stack.dynamodb.update_item(
            TableName=f"{self.stack.name}-ledger",
            Key={"pk": {"S": f"WALLET#{user}"}, "sk": {"S": "BALANCE"}},
            UpdateExpression="SET balance = :balance",
            ExpressionAttributeValues={":balance": {"N": str(balance)}},
        )

    def a_grant_that_was_given_up_is_paid_by_the_operator(self, largesse):
        """The wallet is full, so the money service refuses; then it has room."""
        caller = self.caller
        self.deposit("full", 1)
        self.set_balance("full", BALANCE_MAX)
        token = self.spray(90, 3)
        self.claim("full", token)
        is_given_up = lambda: self.log('"given up, and in the dead-letter queue')
        caller.until(is_given_up, "the grant is not given up")

        path = f"/api/v2/sprays/{token}"
        view = caller.call("GET", path, "ann", self.room).expect(200, "a view")
        must(view["claims"][0]["status"] == "PERMANENTLY_FAILED", f"the view: {view}")

        def dlq(*words):
            command = [largesse, "dlq", *words, "--aws", "--stack", self.stack.name]
            done = subprocess.run(
                command,
                env=self.stack.emulator.environment(),
                capture_output=True,
                text=True,
                timeout=60,
            )
            must(done.returncode == 0, f"{' '.join(words)}: {done.stdout} {done.stderr}")
            return done.stdout

        must("cannot hold" in dlq("list"), "the list does not say why")
        self.set_balance("full", 1)
        dlq("retry", "--all")
        caller.paid("full", 31)
        self.full = 31

    def the_rest_is_refunded_by_the_schedule(self):
        caller = self.caller

        def refunds():
            path = "/api/v2/wallets/ann/transactions?type=refund"
            return caller.call("GET", path, "ann").expect(200, "refunds")["transactions"]

        found = caller.until(refunds, "nothing is refunded")
        must([row["amount"] for row in found] == [1_000 - self.late], f"the refunds: {found}")
        self.in_sprays -= 1_000 - self.late
        caller.claim("m19", self.room, self.short).expect(410, "a claim after the end")

    def all_is_sent_again_from_the_stream(self):
        """A second mapping reads the stream from its oldest record."""
        mapping = self.stack.resources["OutboxFunctionNewEntries"]
        about = self.lambdas.get_event_source_mapping(UUID=mapping)
        before = self.records_of_the_outbox()
        self.lambdas.delete_event_source_mapping(UUID=about["UUID"])
        made = self.lambdas.create_event_source_mapping(
            EventSourceArn=about["EventSourceArn"],
            FunctionName=self.stack.resources["OutboxFunction"],
            StartingPosition="TRIM_HORIZON",
            FilterCriteria=about["FilterCriteria"],
            FunctionResponseTypes=about["FunctionResponseTypes"],
        )
        self.stack.resources["OutboxFunctionNewEntries"] = made["UUID"]
        draws = SHARES + 4
        again = lambda: self.records_of_the_outbox() >= before + draws
        self.caller.until(again, "the stream is not read again")
        self.caller.until(lambda: self.depth("GrantsQueue") <= 1, "messages are left")
        self.everybody_has_what_they_won()

    def the_sums_are_right(self):
        users = ["ann", "late", "full", *self.members]
        wallets = {user: self.caller.balance(user) for user in users}
        total = sum(wallets.values()) + self.in_sprays
        must(total == self.deposited, f"{self.deposited} came in, {total} is there: {wallets}")
