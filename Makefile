# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Every target can be run again. What a target needs and does not find, it installs first.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

export PIP_ROOT_USER_ACTION := ignore
# Nothing here may reach a cluster that the caller's environment names: each step names the kubeconfig it made itself,
# and a host with a token in the environment would win over that.
unexport KUBECONFIG $(filter K8S_AUTH_% HELM_KUBE%,$(.VARIABLES))
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.ansible/collections
export PATH := $(CURDIR)/.venv/bin:$(PATH)

PLAYBOOK := ansible-playbook
RUN := hack/run.py

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv:
	@hack/venv

.PHONY: demo
demo: venv ## A cluster from nothing, the whole stack on it, a replayed agent, and the report
	@hack/only-one demo $(PLAYBOOK) playbooks/demo.yml

.PHONY: demo-clean
demo-clean: venv ## Remove what `make demo` made
	@hack/only-one demo $(PLAYBOOK) playbooks/demo_clean.yml

.PHONY: test
test: venv ## Everything CI runs: lint, unit, charts, sanity, molecule; ends with the counts
	@$(RUN) lint unit charts sanity molecule

.PHONY: lint
lint: venv ## ansible-lint (production), yamllint, ruff, mypy, docs, shellcheck, helm lint
	@$(RUN) lint

.PHONY: unit
unit: venv ## Unit tests of plugins and tools, tests of the programs and of the tarball
	@$(RUN) unit

.PHONY: charts
charts: venv ## Chart tests: schema, render matrix, kubeconform
	@$(RUN) charts

.PHONY: sanity
sanity: venv ## ansible-test sanity
	@$(RUN) sanity

.PHONY: molecule
molecule: venv ## All scenarios on two kind clusters, or one scenario: make molecule S=site
	@$(RUN) molecule $(if $(S),--scenario $(S))

.PHONY: bench
bench: venv ## The figures, ours beside the peer's: make bench [B=site]
	@python bench/run.py $(B)

.PHONY: build
build: venv ## The collection as a tarball in build/
	@mkdir -p build && ansible-galaxy collection build --force --output-path build .

.PHONY: requirements
requirements: ## For maintainers: pin requirements/*.txt anew (needs uv)
	@hack/pin-requirements

.PHONY: clean
clean: venv ## Remove our clusters, containers, images and this checkout's state; caches stay
	@hack/clean
