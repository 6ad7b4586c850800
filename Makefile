VENV ?= .venv
PYTHON := $(VENV)/bin/python
PYTEST := $(PYTHON) -m pytest
READY := $(VENV)/.ready-$(shell sha256sum requirements/dev.txt | cut -c1-12)
KUBESTORE := $(PYTHON) -m kubestore
# Of your own instead of the embedded one: make up CLUSTER=kind (or minikube, or current).
ON := $(if $(CLUSTER),--cluster $(CLUSTER))
export PYTHONPATH := tools:app-src

.DEFAULT_GOAL := help
.PHONY: help venv up status down purge test test-app image bump lint validate load e2e

help: ## Show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(READY) ## Make the Python environment from the locked requirements

$(READY):
	@echo "making $(VENV) from the locked requirements: about a minute" >&2
	@python3 -m venv $(VENV) || { echo "hint:  apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.txt
	@printf '%s\n' "$(CURDIR)/tools" "$(CURDIR)/app-src" > "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/kubestore.pth"
	@printf '#!/bin/sh\nexec "%s" -m kubestore "$$@"\n' "$(abspath $(PYTHON))" > $(VENV)/bin/kubestore
	@chmod +x $(VENV)/bin/kubestore
	@touch $@

up: venv ## Bring up the embedded cluster (or CLUSTER=kind|minikube|current) and the store on it
	@$(KUBESTORE) up $(ON)

status: venv ## Show applications, nodes, replicas and addresses
	@$(KUBESTORE) status $(ON)

down: venv ## Stop the cluster, keep its data
	@$(KUBESTORE) down $(ON)

purge: venv ## Stop the cluster and forget its data
	@$(KUBESTORE) purge $(ON)

test: lint ## Run everything that needs no cluster
	@$(KUBESTORE) build kustomize kubeconform gitleaks act actionlint registry
	@$(PYTEST) -n 2 --dist loadfile

# What explores at length is left to `make test`, since a release waits for this.
LONG := audit buyers db durability fuzz losses machine mutants openapi overload owasp worker
test-app: venv ## Run the quick tests of the store alone, as a release does
	@$(PYTEST) -q -x $(LONG:%=--ignore=tests/unit/store/test_%.py) tests/unit/store

image: venv ## Build and push the store's image
	@$(KUBESTORE) image build
	@$(KUBESTORE) image push

bump: venv ## Name the pushed image in Git (KUBESTORE_ENV, staging by default)
	@$(KUBESTORE) bump

lint: venv ## Check style and types
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

validate: venv ## Render every manifest and check it as the cluster will
	@$(KUBESTORE) validate

load: venv ## Drive a Black Friday against the running store
	@$(KUBESTORE) load $(ON)

e2e: venv ## Prove the whole loop on the running cluster
	@$(PYTEST) -m e2e tests/manifests tests/e2e
