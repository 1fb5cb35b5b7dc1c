"""Compiled programs of the lab's own: pause, and the stand-ins."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

COMPILERS = {"amd64": "gcc", "arm64": "aarch64-linux-gnu-gcc"}
IDENTITY = b"@@IDENTITY@@"
FIELDS = 512


def compiled(source: Path, arch: str, work: Path) -> bytes:
    work.mkdir(parents=True, exist_ok=True)
    out = work / f"{source.stem}-{arch}"
    subprocess.run([COMPILERS[arch], "-Os", "-static", "-s", "-Wall", "-Wextra", "-o", out, source], check=True)
    return out.read_bytes()


@dataclass
class StandIns:
    """Programs that say what they stand in for, and the list of all of them."""

    templates: dict[str, bytes]
    named: set[str]

    def program(self, arch: str, name: str, version: str, says: str = "", images: tuple[str, ...] = ("", "", "")) -> bytes:
        identity = b"".join(text.encode() + b"\0" for text in (name, version, says or f"{name} {version}", *images))
        template = self.templates[arch]
        start = template.index(IDENTITY)
        if len(identity) > FIELDS:
            raise ValueError(f"{name}: its identity has {len(identity)} bytes, {FIELDS} fit")
        return template[:start] + identity.ljust(FIELDS, b"\0") + template[start + FIELDS :]

    def name(self, what: str) -> None:
        self.named.add(what)
