"""Generates requests from docs/openapi.json, signs them, sends them to `largesse up --auth signed`, and
compares each answer with the document. See README.md.

run.py --largesse target/debug/largesse [--examples N] [--seed N]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCUMENT = ROOT / "docs/openapi.json"
sys.path.append(str(ROOT / "tests/deploy"))

from caller import Caller, must  # noqa: E402
from local import Local  # noqa: E402

import forged  # noqa: E402
import things  # noqa: E402
from signing import Signature  # noqa: E402

# What never succeeds here: no row of a campaign fails.
NEVER_SUCCEEDS = {"POST /api/v2/campaigns/{id}/retry"}


def operations(document):
    return {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }


class Answers:
    """What Schemathesis was answered, as hooks.py wrote it down."""

    def __init__(self, path):
        self.count = 0
        # The statuses that each operation answered with.
        self.of = defaultdict(set)
        self.refusals = Counter()
        self.classes = Counter()
        for line in path.read_text().splitlines():
            method, path, status, *code = line.split(" ")
            self.count += 1
            self.of[f"{method} {path}"].add(int(status))
            self.classes[f"{status[0]}xx"] += 1
            if int(status) >= 400:
                self.refusals[f"{status} {' '.join(code)}".strip()] += 1

    def never_succeeded(self, document):
        all_of = operations(document)
        return {one: self.of[one] for one in all_of if not any(s < 400 for s in self.of[one])}


def shown(counts):
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))


def generated(given, port, made):
    """Runs Schemathesis. Gives its exit code and what it was answered."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers"
        answers.touch()
        command = [
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", HERE / "schemathesis.toml"),
            *("run", DOCUMENT, "--url", f"http://127.0.0.1:{port}"),
            *("--max-examples", str(given.examples), "--seed", str(given.seed)),
            *("--phases", "examples,coverage,fuzzing", "--no-color"),
        ]
        # The hooks are modules of this folder.
        paths = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
        more = made | {"LARGESSE_ANSWERS": str(answers), "PYTHONPATH": paths}
        ended = subprocess.run(command, cwd=folder, env=os.environ | more, stdin=subprocess.DEVNULL)
        return ended.returncode, Answers(answers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--largesse", required=True, help="the command")
    parser.add_argument("--examples", type=int, default=20, help="generated requests an operation")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    document = json.loads(DOCUMENT.read_text())
    with Local(given.largesse, auth="signed") as local:
        holder = Signature(local.said["key"], local.said["secret"])
        caller = Caller(local.port, f"127.0.0.1:{local.port}", sign=holder.headers)
        made = {"LARGESSE_THINGS": json.dumps(things.make(caller))}
        made |= {"LARGESSE_KEY": holder.key, "LARGESSE_SECRET": holder.secret}
        code, answers = generated(given, local.port, made)
        forgeries = forged.try_all(caller, document, holder)
    print(f"signed: {answers.count} requests; {shown(answers.classes)}")
    print(f"refused: {shown(answers.refusals)}")
    print(f"forged: {forgeries.total()} requests; {shown(forgeries)}")
    print(f"in {time.monotonic() - began:.0f} s")
    refused = answers.never_succeeded(document)
    must(refused.keys() == NEVER_SUCCEEDS, f"these never succeed: {refused}")
    return code


if __name__ == "__main__":
    sys.exit(main())
