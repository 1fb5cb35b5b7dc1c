"""Release directories as upstream publishes them: archives, plain programs, and their checksums."""

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

UNAMES = {"amd64": "x86_64", "arm64": "aarch64"}


def places(version: str, arch: str) -> dict[str, str]:
    """What the placeholders of a name stand for."""
    return {"v": f"v{version}", "n": version, "arch": arch, "uname": UNAMES[arch]}


def directories(name: str) -> list[str]:
    """The directories above a member, outermost first: none but its own for ./bridge, bin/ for bin/ctr."""
    above = [f"{parent}/" for parent in reversed(PurePosixPath(name).parents)]
    return above if name.startswith("./") else above[1:]


def archive(members: dict[str, bytes]) -> bytes:
    """A .tar.gz of programs, with an entry for each directory, as upstream's have them. The same input, the same bytes."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=1) as stream:
        with tarfile.open(fileobj=stream, mode="w") as tar:
            seen = set()
            for name, data in sorted(members.items()):
                for directory in directories(name):
                    if directory in seen:
                        continue
                    seen.add(directory)
                    entry = tarfile.TarInfo(directory)
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o755
                tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


@dataclass
class Site:
    """The tree that the file server serves: host, then path."""

    root: Path
    _listed: dict[Path, dict[str, str]] = field(default_factory=dict)
    _signed: set[Path] = field(default_factory=set)

    def publish(self, url: str, data: bytes, checksum: dict[str, str], like: Path | None = None) -> Path:
        """Writes a file where its URL maps to, and its checksum in the form that this upstream uses.

        `like` is a file that already holds the same bytes: the new one is then another name of it.
        """
        path = self.root / url
        path.parent.mkdir(parents=True, exist_ok=True)
        if like:
            os.link(like, path)
        else:
            path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        match checksum:
            case {"beside": suffix, "style": style}:
                text = {
                    "bare": digest,
                    "bare-line": f"{digest}\n",
                    "named": f"{digest}  {path.name}\n",
                    "binary": f"{digest} *{path.name}\n",
                }[style]
                path.with_name(path.name + suffix).write_text(text)
            case {"list": name, **rest}:
                listing = path.with_name(name)
                self._listed.setdefault(listing, {})[path.name] = digest
                if rest.get("signed"):
                    self._signed.add(listing)
            case {}:
                pass
        return path

    def write(self, url: str, text: str) -> None:
        path = self.root / url
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def finish(self) -> None:
        """Writes the lists that cover more than one file."""
        with tempfile.TemporaryDirectory() as keys:
            for listing, digests in self._listed.items():
                text = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
                listing.write_text(clear_signed(text, keys) if listing in self._signed else text)


def clear_signed(text: str, keys: str) -> str:
    """Signs as runc's releases do: the list is inside of the armour, and a reader has to find it there."""
    gpg = ["gpg", "--homedir", keys, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    if not (Path(keys) / "pubring.kbx").exists():
        subprocess.run([*gpg, "--quick-generate-key", "lab", "ed25519", "sign", "never"], check=True, capture_output=True)
    return subprocess.run([*gpg, "--clear-sign"], input=text, text=True, check=True, stdout=subprocess.PIPE).stdout
