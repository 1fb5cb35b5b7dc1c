"""Tells what the upstream has, from the list that was made when it was filled."""

import argparse
import json
from pathlib import Path

# The libc of each base that nodes are made from.
LIBC = {"debian-13": (2, 41), "debian-12": (2, 36)}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split("."))


def runs_on(glibc: str | None) -> list[str]:
    return [base for base, libc in LIBC.items() if not glibc or numbers(glibc) <= libc]


def releases(folder: Path) -> list[dict]:
    """One entry for a release, with all of its architectures."""
    found: dict[tuple[str, str], dict] = {}
    for item in json.loads((folder / "versions.json").read_text()):
        key = item["component"], item["version"]
        release = found.setdefault(key, {"arches": [], "real": False, "runs_on": list(LIBC)})
        release["arches"].append(item["arch"])
        release["real"] |= item["real"]
        release["runs_on"] = [base for base in release["runs_on"] if base in runs_on(item["glibc"])]
    return [{"component": name, "version": version, **rest} for (name, version), rest in found.items()]


def table(folder: Path) -> None:
    for item in sorted(releases(folder), key=lambda item: (not item["real"], item["component"], numbers(item["version"]))):
        where = "runs on " + ", ".join(item["runs_on"]) if item["real"] else "stand-in"
        print(f"{item['component']:<24} {item['version']:<10} {','.join(sorted(item['arches'])):<12} {where}")
    print()
    stand_ins = (folder / "stand-ins.txt").read_text().splitlines()
    for line in (folder / "images.txt").read_text().splitlines():
        image = line.split()[1]
        print(image + (" (stand-in)" if f"image {image}" in stand_ins else ""))


def newest(folder: Path, component: str, base: str) -> str:
    """The newest release of a real program that runs on a base."""
    fitting = [
        item["version"]
        for item in releases(folder)
        if item["component"] == component and item["real"] and base in item["runs_on"]
    ]
    return max(fitting, key=numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--newest", metavar="COMPONENT", help="print only this one's newest version that runs on --base")
    parser.add_argument("--base", choices=LIBC, default="debian-13")
    args = parser.parse_args()
    if args.newest:
        print(newest(args.folder, args.newest, args.base))
    elif args.json:
        print(json.dumps(releases(args.folder), indent=1))
    else:
        table(args.folder)


if __name__ == "__main__":
    main()
