"""Tells what the upstream has, from the list that was made when it was filled."""

import json
import sys
from pathlib import Path

# The libc of each base that nodes are made from.
LIBC = {"debian-13": (2, 41), "debian-12": (2, 36)}


def runs_on(glibc: str | None) -> list[str]:
    if not glibc:
        return list(LIBC)
    asked = tuple(int(part) for part in glibc.split("."))
    return [base for base, libc in LIBC.items() if asked <= libc]


def main() -> None:
    folder = Path(sys.argv[1])
    stand_ins = (folder / "stand-ins.txt").read_text().splitlines()
    releases: dict[tuple[str, str], dict] = {}
    for item in json.loads((folder / "versions.json").read_text()):
        release = releases.setdefault(
            (item["component"], item["version"]), {"arches": [], "runs_on": runs_on(item["glibc"]), "real": item["real"]}
        )
        release["arches"].append(item["arch"])
    listed = [{"component": name, "version": version, **rest} for (name, version), rest in releases.items()]
    if "--json" in sys.argv:
        json.dump(listed, sys.stdout, indent=1)
        return
    for item in sorted(listed, key=lambda item: (not item["real"], item["component"])):
        where = "runs on " + ", ".join(item["runs_on"]) if item["real"] else "stand-in"
        print(f"{item['component']:<24} {item['version']:<10} {','.join(sorted(item['arches'])):<12} {where}")
    images = (folder / "images.txt").read_text().split()[1::2]
    print()
    for image in images:
        print(image + (" (stand-in)" if f"image {image}" in stand_ins else ""))


if __name__ == "__main__":
    main()
