"""Writes a bill of materials for each deployed function: CycloneDX 1.6 in JSON, under target/sbom.

    sbom.py --bootstraps target/shipped

It lists the crates that `cargo tree` says are linked on arm64, without those that only run while it
is built, each with the checksum of Cargo.lock. Then it looks into the binary: Rust keeps the path of
each source file that can panic, and every crate found there must be on the list.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[1]
TARGET = "aarch64-unknown-linux-gnu"
# Each function serves requests or messages through hundreds of crates: less is a fault of this script.
CRATES_MIN = 50
# The folder of a crate in the path of its source: the registry's own folder stands before it.
IN_BINARY = re.compile(rb"/registry/src/[^/\0]+/([A-Za-z0-9_-]+?)-(\d+\.\d+\.\d+[A-Za-z0-9.+-]*)/")


def linked(function):
    """The crates of a function, as (depth, name, version, licence), in the order of the tree."""
    command = ["cargo", "tree", "--locked", "--package", function, "--target", TARGET]
    command += ["--edges", "normal,no-proc-macro", "--prefix", "depth"]
    command += ["--format", "|{p}|{l}"]
    tree = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for line in tree.splitlines():
        depth, package, licence = line.split("|")
        name, version = package.split(" ")[:2]
        # A crate that was there before is marked, and its own crates are not repeated.
        yield int(depth), name, version.removeprefix("v"), licence.removesuffix(" (*)")


def checksums():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}


def component(name, version, licence, checksum, kind=ComponentType.LIBRARY):
    purl = PackageURL("cargo", None, name, version)
    return Component(
        type=kind,
        name=name,
        version=version,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
    )


def bill(function, locked):
    """The bill of a function and the crates on it."""
    bom, found, above = Bom(), {}, []
    for depth, name, version, licence in linked(function):
        crate = (name, version)
        if crate not in found:
            kind = ComponentType.LIBRARY if depth else ComponentType.APPLICATION
            found[crate] = component(name, version, licence, locked[crate], kind)
            if depth:
                bom.components.add(found[crate])
            else:
                bom.metadata.component = found[crate]
            bom.register_dependency(found[crate])
        del above[depth:]
        if above:
            bom.register_dependency(above[-1], [found[crate]])
        above.append(found[crate])
    return bom, set(found)


def in_binary(path):
    return {(name.decode(), version.decode()) for name, version in IN_BINARY.findall(path.read_bytes())}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstraps", required=True, type=Path, help="folder of the binaries")
    given = parser.parse_args()
    folder, locked, sizes = ROOT / "target/sbom", checksums(), []
    folder.mkdir(parents=True, exist_ok=True)
    for manifest in sorted(ROOT.glob("functions/*/Cargo.toml")):
        function = manifest.parent.name
        bom, crates = bill(function, locked)
        text = JsonV1Dot6(bom).output_as_string(indent=2)
        if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
            sys.exit(f"the bill of {function} is no CycloneDX: {fault}")
        seen = in_binary(given.bootstraps / function)
        if missing := seen - crates:
            sys.exit(f"the binary of {function} has crates that its bill lacks: {sorted(missing)}")
        if len(crates) < CRATES_MIN or not seen:
            sys.exit(f"{function}: {len(crates)} crates on its bill, {len(seen)} in its binary")
        (folder / f"{function}.cdx.json").write_text(text)
        sizes.append((len(crates), len(seen)))
    print(f"{len(sizes)} bills; crates on a bill and seen in its binary: {min(sizes)} to {max(sizes)}")


if __name__ == "__main__":
    main()
