"""Generates requests from docs/openapi.json, sends them to `largesse up`, and compares each answer with
the document. See README.md.

run.py --largesse target/debug/largesse [--examples N] [--seed N]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(ROOT / "tests/deploy"))

from caller import Caller, must  # noqa: E402
from local import Local  # noqa: E402

import things  # noqa: E402

# Their routes answer 403 with AUTH=open; tests/flows/auth tries them.
KEYS = "/api/v2/keys"

# What never succeeds here: the campaigns are sealed, no row of theirs fails, and no member may force
# one.
NEVER_SUCCEEDS = {
    "PUT /api/v2/campaigns/{id}/parts/{n}",
    "POST /api/v2/campaigns/{id}/retry",
    "POST /api/v2/campaigns/{id}/force",
}


def open_document():
    """The document as it holds with AUTH=open: no key, no signature, and no routes that make keys."""
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    del document["components"]["securitySchemes"]
    document.pop("security", None)
    paths = document["paths"].items()
    document["paths"] = {path: item for path, item in paths if not path.startswith(KEYS)}
    for item in document["paths"].values():
        for operation in item.values():
            operation.pop("security", None)
    return document


def operations(document):
    return {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }


def statuses(answers):
    """The statuses that each operation answered with."""
    found = defaultdict(set)
    for line in answers.read_text().splitlines():
        operation, status = line.rsplit(" ", 1)
        found[operation].add(int(status))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--largesse", required=True, help="the command")
    parser.add_argument("--examples", type=int, default=20, help="generated requests an operation")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Local(given.largesse) as local:
        caller = Caller(local.port, f"127.0.0.1:{local.port}")
        answers = Path(folder) / "answers"
        document = open_document()
        described = Path(folder) / "openapi.json"
        described.write_text(json.dumps(document))
        made = {"LARGESSE_THINGS": json.dumps(things.make(caller)), "LARGESSE_ANSWERS": str(answers)}
        command = [
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", HERE / "schemathesis.toml"),
            *("run", described, "--url", f"http://127.0.0.1:{local.port}"),
            *("--max-examples", str(given.examples), "--seed", str(given.seed)),
            *("--phases", "examples,coverage,fuzzing", "--no-color"),
        ]
        # The hooks are modules of this folder.
        paths = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
        environment = os.environ | made | {"PYTHONPATH": paths}
        ended = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL)
        found = statuses(answers)
        count = len(answers.read_text().splitlines())
    print(f"{count} answers in {time.monotonic() - began:.0f} s")
    refused = {one: found[one] for one in operations(document) if not any(s < 400 for s in found[one])}
    must(refused.keys() == NEVER_SUCCEEDS, f"these never succeed: {refused}")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
