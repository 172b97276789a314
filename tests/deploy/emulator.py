"""One ministack on a free port of this machine, with IAM enforced."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from local import free_port

REGION = "us-east-1"
HERE = Path(__file__).resolve().parent
STARTS_WITHIN_S = 60


class Emulator:
    """Starts ministack; leaving the block ends it and every function that it started."""

    def __init__(self):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="largesse-deploy-"))
        self.log = self.folder / "ministack.log"
        self.process = None

    def environment(self) -> dict:
        """What a client of this emulator needs. The credentials are of its root user."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def __enter__(self):
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "PYTHONPATH": str(HERE / "site"),
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "localhost",
            "MINISTACK_REGION": REGION,
            "GATEWAY_PORT": str(self.port),
            "LAMBDA_EXECUTOR": "local",
            # No container, no other port.
            "DOCKER_HOST": "unix:///nonexistent",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            cwd=self.folder,
            env=settings | self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            # A process group of its own: functions are in it, and nothing else is.
            start_new_session=True,
        )
        ends_at = time.monotonic() + STARTS_WITHIN_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > ends_at:
                raise RuntimeError(f"ministack does not start:\n{self.log.read_text()}")
            time.sleep(0.1)
        return self

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=5) as reply:
                return reply.status == 200
        except OSError:
            return False

    def __exit__(self, kind, error, trace):
        for sent in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sent)
            except ProcessLookupError:
                break
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                continue
        if error is not None:
            print("".join(self.log.open(errors="replace").readlines()[-40:]), file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self, service: str):
        config = Config(
            retries={"total_max_attempts": 1}, read_timeout=120, max_pool_connections=32
        )
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=config,
        )
