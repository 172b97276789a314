"""`largesse up` in memory, on a free port of this machine."""

import os
import socket
import subprocess
import time
import urllib.request

from stack import LIMIT_MAX, LIMITS

STARTS_WITHIN_S = 60


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Local:
    """`auth` is how callers are authenticated. With `signed`, `said` has the first key and its
    secret."""

    def __init__(self, largesse, auth="open"):
        self.port = free_port()
        self.largesse = largesse
        self.auth = auth
        self.said = {}

    def __enter__(self):
        self.process = subprocess.Popen(
            [self.largesse, "up", "--listen", f"127.0.0.1:{self.port}", "--auth", self.auth],
            env=os.environ | dict.fromkeys(LIMITS.values(), LIMIT_MAX),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        ends_at = time.monotonic() + STARTS_WITHIN_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > ends_at:
                raise RuntimeError("`largesse up` does not start")
            time.sleep(0.1)
        if self.auth == "signed":
            self.read_first_key()
        return self

    def read_first_key(self):
        """The banner ends with them: what `largesse up` says later fits into the pipe."""
        while not {"key", "secret"} <= self.said.keys():
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("`largesse up` shows no key")
            name, _, value = line.strip().partition(" ")
            self.said[name] = value.strip()

    def answers(self):
        try:
            url = f"http://127.0.0.1:{self.port}/api/v2/health"
            with urllib.request.urlopen(url, timeout=5) as reply:
                return reply.status == 200
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
