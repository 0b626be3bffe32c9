"""Records the repositories in fixtures/, made and signed by python-tuf alone:

    python3 -m pip install tuf==7.0.0 && python3 test/interop/make-fixtures.py

Every key is new each time and forgotten afterwards. Nothing expires before the year 2126. Each repository is a folder with `metadata/` and `targets/`
as a server would publish them, and `expected.json`: what a client that begins with 1.root.json has to find, and what it may not.
"""

import hashlib
import json
import shutil
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

FIXTURES = Path(__file__).parent / "fixtures"
EXPIRES = datetime(2126, 1, 1, tzinfo=timezone.utc)
TOP_LEVEL = ("root", "timestamp", "snapshot", "targets")


class Repository:
    """A repository in memory that is written to fixtures/<name> at the end."""

    def __init__(self, name, signers, consistent=True, hashes=True, compact=True):
        self.folder = FIXTURES / name
        self.consistent = consistent
        self.hashes = hashes
        self.serializer = JSONSerializer(compact=compact)
        self.signers = signers
        self.roles = {
            "root": Root(expires=EXPIRES, consistent_snapshot=consistent),
            "timestamp": Timestamp(expires=EXPIRES),
            "snapshot": Snapshot(expires=EXPIRES),
            "targets": Targets(expires=EXPIRES),
        }
        self.found = {}
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "metadata").mkdir(parents=True)
        for role in TOP_LEVEL:
            for signer in signers[role]:
                self.roles["root"].add_key(signer.public_key, role)
            self.roles["root"].roles[role].threshold = len(signers[role])
        self.root_signers = list(signers["root"])

    def delegate(self, parent, name, signers, **where):
        """A new targets role below `parent`; `where` is paths or path_hash_prefixes, and terminating."""
        targets = self.roles[parent]
        if targets.delegations is None:
            targets.delegations = Delegations(keys={}, roles={})
        role = DelegatedRole(
            name, [], len(signers), where.pop("terminating", False), where.pop("paths", None), where.pop("path_hash_prefixes", None)
        )
        targets.delegations.roles[name] = role
        for signer in signers:
            targets.add_key(signer.public_key, name)
        self.signers[name] = signers
        self.roles[name] = Targets(expires=EXPIRES)

    def add(self, role, path, content, algorithms=("sha256", "sha512"), found=True):
        """A file under a role, published with each of its hashes; `found` is whether a client must find it."""
        file = TargetFile.from_data(path, content, list(algorithms))
        self.roles[role].targets[path] = file
        names = path.split("/")
        prefixes = [f"{digest}." for digest in file.hashes.values()] if self.consistent else [""]
        for prefix in prefixes:
            place = self.folder / "targets" / "/".join([*names[:-1], prefix + names[-1]])
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        self.found[path] = content.decode() if found else None

    def rotate_root(self, fresh):
        """Root's keys are these from now on; the new root is signed by the old ones too."""
        root = self.roles["root"]
        for keyid in list(root.roles["root"].keyids):
            root.revoke_key(keyid, "root")
        for signer in fresh:
            root.add_key(signer.public_key, "root")
        root.roles["root"].threshold = len(fresh)
        self.signers["root"] = fresh

    def publish_root(self, bump=True):
        root = self.roles["root"]
        if bump:
            root.version += 1
        # The keys of the root before this one sign first, then its own.
        metadata = Metadata(root)
        for signer in [*self.root_signers, *self.signers["root"]]:
            metadata.sign(signer, append=True)
        self.root_signers = list(self.signers["root"])
        self.write(f"{root.version}.root.json", metadata)

    def publish(self):
        """Everything but root, one version up where it was published before."""
        snapshot, timestamp = self.roles["snapshot"], self.roles["timestamp"]
        for name in [name for name in self.roles if name not in ("root", "timestamp", "snapshot")]:
            data = self.write_role(name)
            snapshot.meta[f"{name}.json"] = self.meta(self.roles[name], data)
        timestamp.snapshot_meta = self.meta(snapshot, self.write_role("snapshot"))
        self.write_role("timestamp")

    def meta(self, role, data):
        return MetaFile.from_data(role.version, data, ["sha256", "sha512"]) if self.hashes else MetaFile(role.version)

    def write_role(self, name):
        role = self.roles[name]
        metadata = Metadata(role)
        for signer in self.signers[name]:
            metadata.sign(signer, append=True)
        prefix = f"{role.version}." if self.consistent and name != "timestamp" else ""
        return self.write(f"{prefix}{quote(name, '')}.json", metadata)

    def bump(self):
        for name, role in self.roles.items():
            if name != "root":
                role.version += 1

    def write(self, file, metadata):
        data = metadata.to_bytes(self.serializer)
        (self.folder / "metadata" / file).write_bytes(data)
        return data

    def end(self, **more):
        expected = {"root": self.roles["root"].version, "timestamp": self.roles["timestamp"].version, "targets": self.found, **more}
        (self.folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def ed25519(count=1):
    return [CryptoSigner.generate_ed25519() for _ in range(count)]


def ecdsa(count=1):
    return [CryptoSigner.generate_ecdsa() for _ in range(count)]


def rsa(count=1):
    return [CryptoSigner.generate_rsa(size=2048) for _ in range(count)]


def legacy(signer):
    """The same P-256 key under the key type of repositories from before 2023."""
    value = {
        "keytype": "ecdsa-sha2-nistp256",
        "scheme": "ecdsa-sha2-nistp256",
        "keyval": {"public": signer.public_key.keyval["public"]},
    }
    keyid = hashlib.sha256(encode_canonical(value).encode()).hexdigest()
    return CryptoSigner(signer._private_key, SSlibKey(keyid, **value))


def each(make):
    return {role: make() for role in TOP_LEVEL}


def rotations():
    """Ed25519, consistent snapshots, root rotated twice, thresholds of two and three."""
    repo = Repository("rotations", {**each(ed25519), "root": ed25519(2), "targets": ed25519(2)})
    repo.add("targets", "file.txt", b"first\n")
    repo.publish_root(bump=False)
    repo.publish()
    repo.rotate_root(ed25519(3))
    repo.publish_root()
    root = repo.roles["root"]
    for keyid in list(root.roles["timestamp"].keyids):
        root.revoke_key(keyid, "timestamp")
    repo.signers["timestamp"] = ecdsa()
    root.add_key(repo.signers["timestamp"][0].public_key, "timestamp")
    repo.rotate_root(ed25519(1))
    repo.publish_root()
    repo.bump()
    repo.add("targets", "file.txt", b"second\n")
    repo.publish()
    repo.end()


def delegations():
    """Paths, a role below a role, terminating, an order that names like numbers must not change, two roles that list one file."""
    repo = Repository("delegations", each(ed25519))
    repo.delegate("targets", "beta", ed25519(), paths=["shared/*", "beta/*"])
    repo.delegate("targets", "2", ed25519(), paths=["shared/*"])
    repo.delegate("targets", "1", ed25519(2), paths=["one/*", "shared/*"], terminating=True)
    repo.delegate("targets", "after", ed25519(), paths=["one/*", "other/?.txt"])
    repo.delegate("1", "1/below", ecdsa(), paths=["one/deep-*"])
    repo.add("beta", "beta/a.txt", b"from beta\n")
    repo.add("2", "shared/a.txt", b"from 2\n")
    repo.roles["1"].targets["shared/a.txt"] = TargetFile.from_data("shared/a.txt", b"from 1, which is asked too late\n", ["sha256"])
    repo.add("1/below", "one/deep-x", b"from a role below a role\n")
    repo.add("1/below", "one/shallow", b"not delegated on every step\n", found=False)
    repo.add("after", "one/hidden", b"behind a terminating role\n", found=False)
    repo.add("after", "other/a.txt", b"one letter\n")
    repo.add("after", "other/ab.txt", b"two letters\n", found=False)
    repo.publish_root(bump=False)
    repo.publish()
    repo.end()


def plain():
    """No consistent snapshots, no hashes in snapshot and timestamp, indented JSON, delegation by hashes of paths, sha512 only."""
    repo = Repository("plain", each(ecdsa), consistent=False, hashes=False, compact=False)
    path = "bins/file one+é.txt"
    digest = hashlib.sha256(path.encode()).hexdigest()
    other = "0" if digest[0] != "0" else "1"
    repo.delegate("targets", "bin-other", ecdsa(), path_hash_prefixes=[other])
    repo.delegate("targets", "bin-own", ecdsa(2), path_hash_prefixes=[digest[:2], "fff"], terminating=True)
    repo.add("bin-other", path, b"from the wrong bin\n")
    repo.add("bin-own", path, b"from its own bin\n", algorithms=("sha512",))
    repo.add("targets", "sha512.txt", b"no sha256\n", algorithms=("sha512",))
    repo.publish_root(bump=False)
    repo.publish()
    repo.end()


def keys():
    """RSA-PSS, P-256, Ed25519 and the legacy key type side by side, two of three."""
    mixed = [*rsa(), *ecdsa(), *ed25519()]
    repo = Repository(
        "keys", {"root": [*rsa(), *ed25519()], "timestamp": [legacy(ecdsa()[0])], "snapshot": rsa(), "targets": mixed}
    )
    repo.roles["root"].roles["targets"].threshold = 2
    repo.delegate("targets", "legacy", [legacy(ecdsa()[0]), *rsa()], paths=["legacy/*"])
    repo.add("targets", "file.txt", b"signed by three kinds of keys\n")
    repo.add("legacy", "legacy/file.txt", b"signed by a key of the old kind\n", algorithms=("sha256",))
    repo.publish_root(bump=False)
    repo.publish()
    repo.end()


for make in (rotations, delegations, plain, keys):
    make()
