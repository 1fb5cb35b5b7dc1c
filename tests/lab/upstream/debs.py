"""Debian packages, and the files inside of them."""

import io
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Deb:
    path: Path
    unpacked: Path

    @property
    def version(self) -> str:
        """Upstream's part of the package's version: 1.1.15 of 1.1.15+ds1-2+b4."""
        text = self.path.name.split("_")[1].replace("%3a", ":")
        found = re.match(r"(?:\d+:)?(\d+(?:\.\d+)+)", text)
        if not found:
            raise ValueError(f"{self.path.name}: no version to be read")
        return found[1]

    def files(self, pattern: str) -> dict[str, bytes]:
        """The regular files whose path in the package matches the pattern, by name."""
        if not self.unpacked.exists():
            self.unpacked.mkdir(parents=True)
            subprocess.run(["dpkg-deb", "--extract", self.path, self.unpacked], check=True)
        found = sorted(path for path in self.unpacked.glob(pattern) if path.is_file() and not path.is_symlink())
        return {path.name: path.read_bytes() for path in found}

    def tree(self) -> tarfile.TarFile:
        """All of the package, as a tar."""
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", self.path], check=True, stdout=subprocess.PIPE).stdout
        return tarfile.open(fileobj=io.BytesIO(data))


@dataclass(frozen=True)
class Archive:
    """Debian's archive, as `apt.sh` gives access to it."""

    apt: Path
    debs: Path
    work: Path

    def fetch(self, suite: str, packages: list[str], arches: list[str]) -> dict[tuple[str, str], Deb]:
        """Fetches packages, and gives them by name and architecture."""
        names = [f"{package}:{arch}" for package in packages for arch in arches]
        out = subprocess.run(
            [self.apt, "download", suite, self.debs, *names], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        fetched = {}
        for line in out.splitlines():
            name, path = line.split("\t")
            package, arch = name.split(":")
            fetched[package, arch] = Deb(Path(path), self.work / Path(path).stem)
        return fetched
