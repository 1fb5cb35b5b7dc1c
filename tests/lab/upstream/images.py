"""The images of the upstream: real ones where a package or the lab has the program, stand-ins elsewhere."""

import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from debs import Archive, Deb
from oci import Files, Layer, Layout
from standins import StandIns

LABEL = "io.kubexm.lab.stand-in"
# Enough for a Debian program that is linked against libc alone.
LIBC = ["libc6", "base-files"]


@dataclass
class Images:
    layout: Layout
    arches: list[str]
    stand_ins: StandIns
    docker_format: list[str]
    _formats: dict[str, str]

    def tag(self, reference: str, images: list[dict]) -> None:
        """Tags what was built, unless the reference was tagged before: what is real goes in first."""
        if reference in self._formats:
            return
        host = reference.split("/")[0]
        self._formats[reference] = "v2s2" if host in self.docker_format else "oci"
        self.layout.tag(reference, images)

    def one_program(self, program: dict[str, bytes], path: str, labels: dict[str, str], below: dict[str, Layer]) -> list[dict]:
        """For each architecture an image that runs one program."""
        built = []
        for arch, data in program.items():
            top = self.layout.layer(Files().file(path.lstrip("/"), data))
            layers = [below[arch], top] if arch in below else [top]
            built.append(self.layout.image(arch, layers, [path], labels))
        return built

    def programs(self, arch: str, folder: str, programs: dict[str, bytes]) -> list[dict]:
        """An image of several programs that need nothing else, and runs the first."""
        files = Files()
        for name, data in programs.items():
            files.file(f"{folder}{name}", data)
        return [self.layout.image(arch, [self.layout.layer(files)], [f"/{folder}{next(iter(programs))}"], {})]

    def stand_in(self, reference: str) -> None:
        if reference in self._formats:
            return
        repository, tag = reference.rsplit(":", 1)
        name = repository.rsplit("/", 1)[1]
        program = {arch: self.stand_ins.program(arch, name, tag) for arch in self.arches}
        self.stand_ins.name(f"image {reference}")
        self.tag(reference, self.one_program(program, f"/usr/local/bin/{name}", {LABEL: "true"}, {}))

    def pause(self, references: list[str], program: dict[str, bytes]) -> None:
        built = self.one_program(program, "/pause", {}, {})
        for reference in references:
            self.tag(reference, built)

    def busybox(self, references: list[str], debs: dict[tuple[str, str], Deb]) -> None:
        """As Docker's own: a link for each applet, and an attestation beside each image."""
        built, applets = [], []
        for arch in self.arches:
            [(_, program)] = debs["busybox-static", arch].files("usr/bin/busybox").items()
            if not applets:
                applets = applets_of(program, self.layout.root.parent)
            files = Files().directory("bin/").file("bin/busybox", program)
            for applet in applets:
                files.link(f"bin/{applet}", "busybox")
            files.directory("etc/").directory("root/", 0o700).directory("tmp/", 0o1777)
            files.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
            files.file("etc/group", b"root:x:0:\n", 0o644)
            built.append(self.layout.image(arch, [self.layout.layer(files)], ["/bin/sh"], {}))
        built += [self.layout.attestation(image) for image in built]
        for reference in references:
            self.tag(reference, built)

    def libc(self, archive: Archive) -> dict[str, Layer]:
        """A layer that Debian's programs can run on."""
        debs = archive.fetch("trixie", LIBC, self.arches)
        layers = {}
        for arch in self.arches:
            files = Files()
            for package in LIBC:
                files.all_of(debs[package, arch].tree(), lambda name: not name.startswith("usr/share/"))
            layers[arch] = self.layout.layer(files)
        return layers

    def debian(self, reference: str, arch: str, root: Path, entrypoint: str) -> None:
        """An image of a whole Debian, for a program that calls others or loads libraries."""
        packed = root.with_suffix(".tar")
        subprocess.run(["tar", "-C", root, "--one-file-system", "-cf", packed, "."], check=True)
        with tarfile.open(packed) as tree:
            layer = self.layout.layer(Files().all_of(tree, lambda name: not name.startswith("dev/")))
        packed.unlink()
        self.tag(reference, [self.layout.image(arch, [layer], [entrypoint], {})])

    def write_list(self, path: Path) -> None:
        path.write_text("".join(f"{kind} {reference}\n" for reference, kind in self._formats.items()))


def applets_of(busybox: bytes, work: Path) -> list[str]:
    program = work / "busybox"
    program.write_bytes(busybox)
    program.chmod(0o755)
    listed = subprocess.run([program, "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return sorted(name for name in listed.split() if name != "busybox")
