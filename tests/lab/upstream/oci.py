"""Container images without an engine: an OCI layout is JSON and tars."""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
IN_TOTO = "application/vnd.in-toto+json"

PLATFORMS = {
    "amd64": {"architecture": "amd64", "os": "linux"},
    # Upstreams give the variant; a reader that compares platforms as text finds none.
    "arm64": {"architecture": "arm64", "os": "linux", "variant": "v8"},
}


@dataclass(frozen=True)
class Layer:
    descriptor: dict
    diff_id: str


@dataclass
class Files:
    """The content of a layer, in the order given."""

    entries: list[tuple[tarfile.TarInfo, bytes]] = field(default_factory=list)

    def file(self, name: str, data: bytes, mode: int = 0o755) -> "Files":
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), mode
        self.entries.append((entry, data))
        return self

    def directory(self, name: str, mode: int = 0o755) -> "Files":
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self.entries.append((entry, b""))
        return self

    def link(self, name: str, target: str) -> "Files":
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
        self.entries.append((entry, b""))
        return self

    def all_of(self, tree: tarfile.TarFile, keep=lambda name: True) -> "Files":
        for entry in tree:
            entry.name = entry.name.removeprefix("./")
            if entry.name in ("", ".") or not keep(entry.name):
                continue
            entry.linkname = entry.linkname.removeprefix("./") if entry.islnk() else entry.linkname
            entry.mtime, entry.uname, entry.gname = 0, "", ""
            self.entries.append((entry, tree.extractfile(entry).read() if entry.isreg() else b""))
        return self


@dataclass
class Layout:
    root: Path
    _manifests: list[dict] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        (self.root / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data: bytes, media_type: str) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        path = self.root / "blobs/sha256" / digest
        if not path.exists():
            path.write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def json(self, value: dict, media_type: str) -> dict:
        return self.blob(json.dumps(value, sort_keys=True).encode(), media_type)

    def layer(self, files: Files) -> Layer:
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for entry, data in files.entries:
                tar.addfile(entry, io.BytesIO(data))
        data = plain.getvalue()
        return Layer(
            self.blob(gzip.compress(data, compresslevel=1, mtime=0), LAYER),
            f"sha256:{hashlib.sha256(data).hexdigest()}",
        )

    def image(self, arch: str, layers: list[Layer], entrypoint: list[str], labels: dict[str, str]) -> dict:
        """Writes one platform's image, and gives its descriptor for an index."""
        settings = {
            "Entrypoint": entrypoint,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Labels": labels,
        }
        config = {
            **PLATFORMS[arch],
            "created": "1970-01-01T00:00:00Z",
            "config": {key: value for key, value in settings.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "lab"} for _ in layers],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.json(config, CONFIG),
            "layers": [layer.descriptor for layer in layers],
        }
        return {**self.json(manifest, MANIFEST), "platform": PLATFORMS[arch]}

    def attestation(self, image: dict) -> dict:
        """What buildkit adds to an index for each image: a manifest of no platform, that nobody wants to run."""
        statement = self.json({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"digest": image["digest"]}]}, IN_TOTO)
        config = {
            "architecture": "unknown",
            "os": "unknown",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [statement["digest"]]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.json(config, CONFIG),
            "layers": [statement],
        }
        return {
            **self.json(manifest, MANIFEST),
            "platform": {"architecture": "unknown", "os": "unknown"},
            "annotations": {
                "vnd.docker.reference.digest": image["digest"],
                "vnd.docker.reference.type": "attestation-manifest",
            },
        }

    def tag(self, reference: str, images: list[dict]) -> None:
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": images}
        self._manifests.append(
            {**self.json(index, INDEX), "annotations": {"org.opencontainers.image.ref.name": reference}}
        )

    def finish(self) -> None:
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self._manifests}
        (self.root / "index.json").write_text(json.dumps(index))
