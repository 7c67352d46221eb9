# Two commands matter: `make up` and `make test`. Everything else is a part of one of them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.DEFAULT_GOAL := help

caches := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
export SANCTUM_CACHE ?= $(caches)/sanctum
# Outside the checkout, so that every checkout of this machine shares it.
export CARGO_TARGET_DIR ?= $(SANCTUM_CACHE)/target
# The inference engine is C++ and large; with ccache each build but the first takes seconds.
ifneq ($(shell command -v ccache),)
export CMAKE_C_COMPILER_LAUNCHER ?= ccache
export CMAKE_CXX_COMPILER_LAUNCHER ?= ccache
# Another profile builds the same files in another directory: that must not count.
export CCACHE_NOHASHDIR ?= 1
export CCACHE_BASEDIR ?= $(CARGO_TARGET_DIR)
endif

programs := -p sanctum -p castellan -p castellan-deadman -p proxyd -p sanctum-mlx
sanctum := $(CARGO_TARGET_DIR)/release/sanctum

.PHONY: help up down build test fast soak system check-macos docs bench-boot bench-supervisors bench-status

help: ## Show this
	grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

up: ## Install what is missing, build, start everything, ask a first question
	scripts/install-tools run
	$(MAKE) --no-print-directory build
	"$(sanctum)" up

down: ## Stop everything
	"$(sanctum)" down

build: ## Build the programs
	cargo build --locked --release $(programs)

test: ## Run everything: the fast tests, the Mac's compiler, then the whole system in a real VM
	scripts/install-tools test
	scripts/stage "fast tests" $(MAKE) --no-print-directory fast
	scripts/stage "the Mac compiles" $(MAKE) --no-print-directory check-macos
	scripts/stage "a short soak" $(MAKE) --no-print-directory soak MINUTES=2
	scripts/stage "the whole system" $(MAKE) --no-print-directory system

fast: ## Format, lints, unit, property, golden and whole-program tests without a VM
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo build --locked --workspace --bins
	scripts/test-model
	SANCTUM_TEST_MODEL="$(SANCTUM_CACHE)/test-model/model.gguf" cargo nextest run --locked --workspace --profile ci
	cargo test --locked --workspace --doc --quiet
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items --quiet
	$(MAKE) --no-print-directory docs
	test -z "$$(git status --porcelain -- docs)" || { echo "docs/ is not what the programs say: commit what 'make docs' wrote" >&2; exit 1; }

soak: build ## 200 components with random kills, of castellan and its deadman too, for MINUTES
	cargo build --locked --release -p sanctum-testkit --bins
	"$(CARGO_TARGET_DIR)/release/soak" --programs "$(CARGO_TARGET_DIR)/release" --minutes $(or $(MINUTES),10)

system: build ## The whole path in a real virtual machine, with a real agent and a real model
	scripts/test-model
	cargo run --locked --release -p sanctum-testkit --bin system_test -- --programs "$(CARGO_TARGET_DIR)/release"

check-macos: ## Check, lint and link the workspace for aarch64-apple-darwin
	scripts/check-macos || { code=$$?; [ $$code -eq 77 ] || exit $$code; }

docs: ## Write the generated part of docs/: manual pages and completions
	cargo build --locked --quiet -p sanctum
	rm -rf docs/man docs/completions
	mkdir -p docs/man docs/completions
	"$(CARGO_TARGET_DIR)/debug/sanctum" man-pages docs/man
	for shell in bash zsh fish; do
		"$(CARGO_TARGET_DIR)/debug/sanctum" completions $$shell > docs/completions/sanctum.$$shell
	done

bench-supervisors: build ## Respawn, start, memory, idle CPU and awkward moments, against other supervisors
	CASTELLAN="$(CARGO_TARGET_DIR)/release/castellan" bench/supervisors/run --install

bench-status: build ## `sanctum status` over 500 components
	bench/status/run "$(CARGO_TARGET_DIR)/release"

bench-boot: build ## Time from `up` to the first token, against bare QEMU with the same image
	bench/boot/run "$(sanctum)"
