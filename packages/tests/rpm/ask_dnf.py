"""What dnf would install: one request a line, its packages or "!" and the reason as the answer."""

import sys

import dnf
import dnf.exceptions

repository, root, scratch = sys.argv[1:]
base = dnf.Base()
conf = base.conf
conf.installroot = root
conf.cachedir = f"{scratch}/cache"
conf.persistdir = f"{scratch}/persist"
conf.logdir = scratch
conf.reposdir = []
conf.pluginpath = []
conf.install_weak_deps = False
conf.best = False
conf.substitutions["releasever"] = "9"
conf.substitutions["arch"] = "x86_64"
conf.substitutions["basearch"] = "x86_64"
base.repos.add_new_repo("upstream", conf, baseurl=[f"file://{repository}"], gpgcheck=False)
base.fill_sack(load_system_repo=True)

for line in sys.stdin:
    base.reset(goal=True)
    try:
        for wanted in line.split():
            base.install(wanted)
        base.resolve()
    except dnf.exceptions.Error as error:
        print("!", " ".join(str(error).split()))
        continue
    changed = base.transaction.remove_set
    if changed:
        print("!", "would change", *sorted(str(package) for package in changed))
        continue
    print(*sorted(f"{p.name}-{p.evr}.{p.arch}" for p in base.transaction.install_set))
