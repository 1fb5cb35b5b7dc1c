"""Fills the lab's upstream: release files under their upstream's names, and an OCI layout with every image."""

import argparse
import fnmatch
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from debs import Archive, Deb
from images import Images
from oci import Layout
from releases import Site, archive, places
from standins import COMPILERS, StandIns, compiled

HERE = Path(__file__).parent


@dataclass
class RealKubernetes:
    """A folder with real programs of one version, for the architecture of this machine."""

    folder: Path
    arch: str
    work: Path

    @property
    def version(self) -> str:
        return (self.folder / "VERSION").read_text().strip().removeprefix("v")

    def program(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def said(self, name: str, *arguments: str) -> list[str]:
        """The words that one of the programs answers."""
        program = self.work / name
        program.write_bytes(self.program(name))
        program.chmod(0o755)
        return subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout.split()

    def other_etcds(self) -> Iterator[tuple[str, dict[str, bytes]]]:
        """Further images of etcd, each with a subfolder of programs: lines of the file `etcd-images`."""
        listed = self.folder / "etcd-images"
        for line in listed.read_text().splitlines() if listed.exists() else ():
            reference, folder = line.split()
            names = ("etcd", "etcdctl", "etcdutl")
            yield reference, {name: self.program(f"{folder}/{name}") for name in names}

    def images(self) -> list[str]:
        """What kubeadm itself asks for."""
        return self.said("kubeadm", "config", "images", "list", "--kubernetes-version", f"v{self.version}")

    def has(self, name: str) -> bool:
        """Whether the folder holds this program, which it need not."""
        return (self.folder / name).is_file()

    def crictl(self) -> str | None:
        """The version of the crictl that the folder may hold as well."""
        return self.said("crictl", "--version")[-1].removeprefix("v") if self.has("crictl") else None


class Filler:
    def __init__(self, args: argparse.Namespace) -> None:
        self.table = tomllib.loads((HERE / "upstream.toml").read_text())
        self.arches: list[str] = self.table["arches"]
        self.archive = Archive(args.apt, args.debs, args.work / "unpacked")
        self.site = Site(args.out / "www")
        self.out: Path = args.out
        self.work: Path = args.work
        self.has: list[dict] = []
        templates = {arch: compiled(HERE / "standin.c", arch, self.work) for arch in COMPILERS}
        self.stand_ins = StandIns(templates, set())
        self.kubes = [RealKubernetes(folder, machine_arch(), self.work) for folder in args.kube]
        self.images = Images(
            Layout(self.work / "oci"), self.arches, self.stand_ins, self.table["images"]["docker-format"], {}
        )

    def release(self, component: str, version: str, arch: str, real: list[bytes]) -> None:
        """Notes what there is; a stand-in has no real program in it."""
        self.has.append({
            "component": component, "version": f"v{version}", "arch": arch, "real": bool(real), "glibc": newest_glibc(real)
        })

    # Files

    def real(self, entry: dict) -> None:
        for suite in entry["suites"]:
            debs = self.archive.fetch(suite, entry["packages"], self.arches)
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda arch: self.real_release(entry, debs, arch), self.arches))

    def real_release(self, entry: dict, debs: dict[tuple[str, str], Deb], arch: str) -> None:
        version = debs[entry["packages"][0], arch].version
        where = places(version, arch)
        if "program" in entry:
            [data] = inside(debs, arch, entry["program"]).values()
            parts = [data]
        else:
            members = packed(debs, arch, entry["members"], where)
            data, parts = archive(members), list(members.values())
        self.site.publish(entry["url"].format(**where), data, entry["checksum"])
        self.release(entry["component"], version, arch, parts)

    def stand_in(self, entry: dict) -> None:
        for version in entry["versions"]:
            for arch in entry.get("arches", self.arches):
                where = places(version, arch)
                if self.given(entry, version, arch, where):
                    continue
                url = entry["url"].format(**where)
                says = entry.get("says", "").format(**where)
                members = [member.format(**where) for member in entry.get("members", [])]
                if members:
                    names = {member: member.rsplit("/", 1)[-1] for member in members}
                    data = archive({
                        member: self.stand_ins.program(arch, name, f"v{version}", says) for member, name in names.items()
                    })
                else:
                    data = self.stand_ins.program(arch, entry["component"], f"v{version}", says)
                self.site.publish(url, data, entry["checksum"])
                self.stand_ins.name(f"file {url}")
                self.release(entry["component"], version, arch, [])

    def given(self, entry: dict, version: str, arch: str, where: dict[str, str]) -> bool:
        """Publishes the real crictl where the folder of real programs has this one."""
        if entry["component"] != "crictl":
            return False
        kube = next((kube for kube in self.kubes if (kube.crictl(), kube.arch) == (version, arch)), None)
        if not kube:
            return False
        program = kube.program("crictl")
        self.site.publish(entry["url"].format(**where), archive({"crictl": program}), entry["checksum"])
        self.release("crictl", version, arch, [program])
        return True

    def manifest(self, entry: dict) -> None:
        """Publishes a manifest of objects; upstream has no checksum of these."""
        for version, words in entry["versions"].items():
            text = (HERE / entry["file"]).read_text()
            for word, meaning in {"VERSION": f"v{version}", **words}.items():
                text = text.replace(word, meaning)
            url = entry["url"].format(v=f"v{version}")
            self.site.write(url, text)
            self.stand_ins.name(f"file {url}")
            for arch in self.arches:
                self.release(entry["component"], version, arch, [])

    def kubernetes(self) -> None:
        table = self.table["kubernetes"]
        kubectl = self.archive.fetch(table["kubectl"]["suite"], [table["kubectl"]["package"]], self.arches)
        for arch in self.arches:
            [real_kubectl] = inside(kubectl, arch, table["kubectl"]["program"]).values()
            packaged = kubectl[table["kubectl"]["package"], arch].version
            published = None
            for version, images in self.kubernetes_versions().items():
                url = table["url"].format(**places(version, arch))
                served = next((kube for kube in self.kubes if (kube.version, kube.arch) == (version, arch)), None)
                for name in table["programs"]:
                    if served:
                        data = served.program(name)
                    else:
                        says = f"Kubernetes v{version}"
                        wanted = (images["etcd"], images["pause"], images["coredns"])
                        data = self.stand_ins.program(arch, name, f"v{version}", says, wanted)
                        self.stand_ins.name(f"file {url}{name}")
                    self.site.publish(url + name, data, table["checksum"])
                    self.release(name, version, arch, [data] if served else [])
                if served:
                    self.site.publish(f"{url}kubectl", served.program("kubectl"), table["checksum"])
                else:
                    published = self.site.publish(f"{url}kubectl", real_kubectl, table["checksum"], published)
                    if version != packaged:
                        self.stand_ins.name(f"file {url}kubectl, which is the real one of v{packaged}")
                self.release("kubectl", version, arch, [real_kubectl])
        self.stable()

    def kubernetes_versions(self) -> dict[str, dict[str, str]]:
        """Each version and the images its kubeadm asks for; a real one asks for whatever it likes."""
        versions = dict(self.table["kubernetes"]["versions"])
        for kube in self.kubes:
            versions.setdefault(kube.version, versions[self.table["kubernetes"]["stable"]])
        return versions

    def stable(self) -> None:
        newest: dict[str, str] = {}
        for version in sorted(self.kubernetes_versions(), key=lambda text: [int(part) for part in text.split(".")]):
            newest[version.rsplit(".", 1)[0]] = version
        stable = self.kubes[-1].version if self.kubes else self.table["kubernetes"]["stable"]
        self.site.write("dl.k8s.io/release/stable.txt", f"v{stable}")
        for minor, version in newest.items():
            self.site.write(f"dl.k8s.io/release/stable-{minor}.txt", f"v{version}")

    # Images

    def pull_list(self) -> None:
        table = self.table["images"]
        pattern, tags = table["pause"]
        self.images.pause(
            [pattern.format(tag) for tag in tags],
            {arch: compiled(HERE / "pause.c", arch, self.work) for arch in self.arches},
        )
        self.images.busybox(table["busybox"], self.archive.fetch("trixie", ["busybox-static"], self.arches))
        self.etcd_image(table["etcd"])
        for kube in self.kubes:
            self.kube_images(kube)
        if self.kubes:
            for reference, packages in table["debian"].items():
                program = packages[0]
                self.stand_ins.name(f"image {reference}, which holds Debian's {program}")
                root = self.small_debian(",".join(packages))
                self.images.debian(reference, self.kubes[0].arch, root, f"/usr/sbin/{program}")
        for version in self.kubernetes_versions():
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
                self.images.stand_in(f"registry.k8s.io/{name}:v{version}")
        for repository, tags in table["stand-ins"].items():
            for tag in tags:
                self.images.stand_in(f"{repository}:{tag}")

    def etcd_image(self, references: list[str]) -> None:
        debs = self.archive.fetch("sid", ["etcd-server"], self.arches)
        programs = {}
        for arch in self.arches:
            [programs[arch]] = inside(debs, arch, "etcd-server:usr/bin/etcd").values()
        self.etcd = self.images.one_program(programs, "/usr/local/bin/etcd", {}, self.images.libc(self.archive))
        for reference in references:
            self.images.tag(reference.format(v=f"v{debs['etcd-server', self.arches[0]].version}"), self.etcd)

    def kube_images(self, kube: RealKubernetes) -> None:
        for reference, programs in kube.other_etcds():
            self.images.tag(reference, self.images.programs(kube.arch, "usr/local/bin/", programs))
        for reference in kube.images():
            name = reference.rsplit(":", 1)[0].rsplit("/", 1)[1]
            if name == "etcd" and kube.has("etcd"):
                self.images.tag(reference, self.images.programs(kube.arch, "usr/local/bin/", self.kube_etcd(kube)))
            elif name == "etcd":
                self.stand_ins.name(f"image {reference}, which holds Debian's etcd")
                self.images.tag(reference, self.etcd)
            elif name == "kube-proxy":
                root = self.small_debian("iptables,nftables,ipset,conntrack,kmod")
                program = root / "usr/local/bin/kube-proxy"
                program.write_bytes(kube.program(name))
                program.chmod(0o755)
                self.images.debian(reference, kube.arch, root, "/usr/local/bin/kube-proxy")
            else:
                path = f"/{name}" if name in ("coredns", "pause") else f"/usr/local/bin/{name}"
                self.images.tag(reference, self.images.one_program({kube.arch: kube.program(name)}, path, {}, {}))

    @staticmethod
    def kube_etcd(kube: RealKubernetes) -> dict[str, bytes]:
        """What upstream's image of etcd holds, as far as it is there; the first is what runs."""
        return {name: kube.program(name) for name in ("etcd", "etcdctl", "etcdutl") if kube.has(name)}

    def small_debian(self, packages: str) -> Path:
        """A Debian for an image whose program needs more than itself."""
        root = self.work / f"root-{packages.split(',')[0]}"
        if root.exists():
            return root
        mirror = subprocess.run([self.archive.apt, "mirror"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        with root.with_suffix(".log").open("w") as log:
            command = ["debootstrap", "--variant=minbase", f"--include={packages}", "trixie", root, mirror]
            subprocess.run(command, check=True, stdout=log)
        for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
            shutil.rmtree(root / waste)
        return root

    def fill(self) -> None:
        for entry in self.table["real"]:
            self.real(entry)
        for entry in self.table["stand-in"]:
            self.stand_in(entry)
        for entry in self.table["manifest"]:
            self.manifest(entry)
        self.kubernetes()
        self.site.finish()
        self.pull_list()
        self.images.layout.finish()
        self.images.write_list(self.work / "images.list")
        self.images.write_list(self.out / "images.txt")
        (self.out / "stand-ins.txt").write_text("".join(f"{line}\n" for line in sorted(self.stand_ins.named)))
        (self.out / "versions.json").write_text(json.dumps(self.has, indent=1))


def machine_arch() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def inside(debs: dict[tuple[str, str], Deb], arch: str, source: str) -> dict[str, bytes]:
    """The files that PACKAGE:PATH means, by name; both may be patterns."""
    package, path = source.split(":")
    found = {}
    for (name, deb_arch), deb in debs.items():
        if deb_arch == arch and fnmatch.fnmatchcase(name, package):
            found |= deb.files(path)
    if not found:
        raise ValueError(f"{source} for {arch}: no such file in the packages")
    return found


def packed(debs: dict[tuple[str, str], Deb], arch: str, members: dict[str, str], where: dict[str, str]) -> dict[str, bytes]:
    content = {}
    for target, source in members.items():
        target = target.format(**where)
        found = inside(debs, arch, source)
        for name, data in found.items():
            content[target + name if target.endswith("/") else target] = data
    return content


def newest_glibc(programs: list[bytes]) -> str | None:
    """The newest glibc that one of the programs asks for: it will not start on an older one."""
    asked = {text for program in programs for text in re.findall(rb"GLIBC_(\d+\.\d+)\0", program)}
    return max((text.decode() for text in asked), key=lambda text: int(text.split(".")[1]), default=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apt", type=Path, required=True, help="the lab's apt.sh")
    parser.add_argument("--debs", type=Path, required=True, help="where packages are kept")
    parser.add_argument("--out", type=Path, required=True, help="the upstream's folder")
    parser.add_argument("--work", type=Path, required=True, help="a scratch folder, emptied first")
    parser.add_argument(
        "--kube", type=Path, action="append", default=[],
        help="a folder with real Kubernetes programs and a file VERSION; the last is what is stable",
    )
    args = parser.parse_args()
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    Filler(args).fill()


if __name__ == "__main__":
    main()
