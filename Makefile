# The commands that people must know. `make` alone lists them.

LAB := tests/lab/lab

.DEFAULT_GOAL := help
.PHONY: help lab-deps lab-up lab-down lab-status lab-upstream

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
