# The commands that people must know. `make` alone lists them.

LAB := tests/lab/lab
CARGO := cargo
export KUBEXM := $(CURDIR)/target/debug/kubexm

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long lint unit e2e e2e-long bench bench-delta bench-scale release dist build-deps lab-deps lab-up lab-down lab-status lab-upstream

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: lab-deps ## Install what building and testing need: Debian packages, cargo-nextest, cargo-deny
	@tests/setup.sh

# The tools of tests are programs of Rust as well: it takes minutes to compile them, and the demo needs none.
demo: lab-deps build-deps release ## Bundle, carry, install into a site without a route out, and prove it, on this machine
	@KUBEXM=$(CURDIR)/target/release/kubexm tests/demo/demo.sh

test: setup lint unit e2e ## Everything that must pass before a change lands

lint: ## Format, clippy, dependencies, shell scripts
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings
	$(CARGO) fetch --locked --quiet
	$(CARGO) deny --offline check bans licenses sources
	shellcheck --external-sources .ci/run tests/setup.sh tests/*/deps.sh tests/demo/demo.sh tests/dist/*.sh tests/lab/lab tests/lab/older tests/lab/without tests/lab/apt.sh tests/lab/base.sh installer/step/tests/draining.sh

unit: ## Unit, property, golden and layer tests; real programs on loopback, no lab
	$(CARGO) nextest run --workspace --locked

# What needs real Kubernetes is not run without it, and the end says so. The whole workspace is built, as for the unit tests:
# for a part of it cargo chooses other features, and builds the dependencies once more.
e2e: ## The whole path in the lab; with real Kubernetes where KUBEXM_LAB_KUBE names a folder of its programs
	$(CARGO) nextest run --workspace --locked --run-ignored only --test-threads 1 --no-capture \
		-E '$(if $(KUBEXM_LAB_KUBE),not binary(/^(hops|kills|trixie|mixed|draining$(if $(KUBEXM_ETCD_HOP),,|etcd_hop))$$/)$(if $(findstring :,$(KUBEXM_LAB_KUBE)),, and not binary(upgrade))$(if $(KUBEXM_LAB_RUNTIMES),, and not binary(runtimes))$(if $(KUBEXM_LAB_IMAGES),, and not binary(/^(addons|dns_cache|known_addons)$$/))$(if $(KUBEXM_HELM),, and not test(the_real_helm))$(if $(KUBEXM_KUBECTL),, and not test(the_real_kubectl))$(if $(KUBEXM_CILIUM),, and not test(renders_cilium)),package(tests) and not binary(/^(addons|again|certs|dns_cache|etcd|kills|known_addons|kube|hops|nodes|operators|runtimes|upgrade)$$/))'
	@[ -z "$(KUBEXM_LAB_KUBE)" ] || \
		installer/step/tests/draining.sh "$$(ls -t target/debug/deps/draining-* | grep -v '[.]d$$' | head -n 1)"
	@[ -n "$(KUBEXM_LAB_KUBE)" ] || \
		echo "left out: all tests that need real Kubernetes; KUBEXM_LAB_KUBE names no folder of its programs" >&2

# Each takes a quarter of an hour and more. KUBEXM_LAB_KUBE names three folders, each of another minor; tests/lab/older makes them.
e2e-long: ## Upgrades over several minors in the lab: under load, killed again and again, with nodes that die
	$(CARGO) nextest run --workspace --locked --run-ignored only --test-threads 1 --no-capture -E 'package(tests) & binary(/^(hops|kills)$$/)'

test-long: setup ## What takes too long for every change: 10,000 damaged media, all packages beside apt; KUBEXM_TRIXIE_INSTALL_EVERY=1 installs them all
	$(CARGO) nextest run --package packages --locked --run-ignored only --no-capture
	$(CARGO) nextest run --package artifact --locked --run-ignored only --no-capture -E 'binary(mixed)'

bench: setup ## Compare with tar, zstd, skopeo and scp on this machine; ARGS="--rounds 1 --only pack"
	@tests/bench/deps.sh /var/tmp/kubexm-bench
	$(CARGO) run --release --package tests --bin bench --locked -- $(ARGS)

bench-delta: setup ## Compare a delta of two builds with zstd --patch-from; KUBEXM_DELTA=OLD:NEW, folders with programs/ and layers/
	$(CARGO) nextest run --package artifact --locked --run-ignored only --no-capture -E 'binary(real_delta)'

bench-scale: release ## Tell how plans and runs grow with the hosts: 100, 1,000 and 5,000 of them
	$(CARGO) run --release --package tests --bin bench --locked -- scale

release: ## Build target/release/kubexm
	$(CARGO) build --release --package kubexm --locked

dist: lab-deps ## Build target/dist/kubexm-linux-{amd64,arm64}, for any Linux with glibc 2.17 or later
	@tests/setup.sh dist
	@tests/dist/dist.sh

build-deps:
	@tests/setup.sh build

lab-deps:
	@tests/lab/deps.sh

lab-up: lab-deps ## Boot NODES=3 systemd hosts from BASE=debian-13 (or debian-12) on an isolated bridge
	@$(LAB) up

lab-down: ## End the lab: no process, mount, namespace or cgroup stays; the caches do
	@$(LAB) down

lab-status: ## Tell what of the lab runs
	@$(LAB) status

lab-upstream: lab-deps ## Start only the file server and registry that a bundle is made from
	@$(LAB) upstream

# Let `make lab-up NODES=5` reach the script.
export NODES BASE FLAVOR
