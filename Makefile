# SPDX-License-Identifier: GPL-2.0
#
# Everything is built in a tool chain root that qemu/provision makes, so that
# the host needs nothing but a shell; with KDIR=, the module alone is built
# with the host's own tools against that kernel.

KERNEL	?= stock
BUILD	:= build
# What runs a command in the tool chain root.
ENTER	:= qemu/enter --
CARGO	:= $(ENTER) cargo
TOOLS	:= --manifest-path tools/Cargo.toml --target-dir $(BUILD)/cargo
BENCH	:= --manifest-path bench/Cargo.toml --target-dir $(BUILD)/cargo-bench

.DEFAULT_GOAL := module
.DELETE_ON_ERROR:

.PHONY: help
help: ## Say what there is to make
	@echo 'usage: make TARGET [KERNEL=stock|debug] [KDIR=folder]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

# ---- the module ----

ifdef KDIR
MODULE_BUILD	:= $(BUILD)/host
MODULE_ENTER	:=
MODULE_KDIR	 = $(KDIR)
else
MODULE_BUILD	:= $(BUILD)/$(KERNEL)
MODULE_ENTER	:= $(ENTER)
MODULE_KDIR	 = $(shell qemu/kdir $(KERNEL))
endif
# A module is built with its kernel's compiler.
COMPILER	 = $(if $(shell grep -s '^CONFIG_CC_IS_CLANG=y' $(MODULE_KDIR)/.config),LLVM=1,CC=$(or $(shell sed -n 's/^CONFIG_CC_VERSION_TEXT="\(x86_64-linux-gnu-\)\?\([a-z]*-[0-9]*\) .*/\2/p' $(MODULE_KDIR)/.config 2>/dev/null),gcc))
KBUILD		 = $(MODULE_ENTER) $(MAKE) -C $(MODULE_KDIR) M=$(CURDIR) MO=$(CURDIR)/$(MODULE_BUILD) $(COMPILER)

.PHONY: module
module: $(if $(KDIR),,provision-$(KERNEL)) ## Build the module for KERNEL, or against KDIR
	@mkdir -p $(MODULE_BUILD)
	+@$(KBUILD) modules

.PHONY: clippy-module
clippy-module: provision-$(KERNEL)
	@mkdir -p $(MODULE_BUILD)-clippy
	+@$(MODULE_ENTER) $(MAKE) -C $(MODULE_KDIR) M=$(CURDIR) MO=$(CURDIR)/$(MODULE_BUILD)-clippy $(COMPILER) CLIPPY=1 modules

.PHONY: rust-analyzer
rust-analyzer: provision-$(KERNEL) ## Write rust-project.json for editors
	@mkdir -p $(MODULE_BUILD)
	+@$(KBUILD) rust-analyzer
	@ln -sf $(MODULE_BUILD)/rust-project.json rust-project.json

.PHONY: ynl
ynl: provision-stock ## Generate the netlink code from its specification
	@$(ENTER) tools/ynl/generate "$$(qemu/kdir --source)"

# ---- programs ----

.PHONY: tools
tools: provision-root ## Build sgctl, its manual pages and completions
	@$(CARGO) build --release $(TOOLS) --workspace --bins --examples
	@mkdir -p $(BUILD)/bin
	@cp $(BUILD)/cargo/release/sgctl $(BUILD)/cargo/release/examples/workers $(BUILD)/bin/
	@$(ENTER) $(BUILD)/cargo/release/sgctl-gen $(BUILD)
	@$(ENTER) cc -Wall -Wextra -Werror -O2 -Iinclude/uapi -o $(BUILD)/bin/reuse_workers examples/c/reuse_workers.c

.PHONY: selftests
selftests: provision-stock ## Build the tests that run in a guest
	@$(ENTER) $(MAKE) -C selftests OUT=$(CURDIR)/$(BUILD)/selftests KSRC="$$(qemu/kdir --source)"

# ---- to see it work ----

.PHONY: demo
demo: provision-stock ## See nginx keep its connections when a worker hangs
	@$(MAKE) --no-print-directory module KERNEL=stock
	@$(MAKE) --no-print-directory tools
	@bench/demo

.PHONY: bench
bench: provision-stock ## Measure; prints tables, draws to build/bench
	@$(MAKE) --no-print-directory module KERNEL=stock
	@$(MAKE) --no-print-directory tools
	@bench/run $(NAME)

.PHONY: test
test: ## Run all tests, on the host and in guests
	@selftests/all

# ---- keeping order ----

.PHONY: clippy
clippy: provision-root clippy-module ## Lint the module and the programs
	@$(CARGO) clippy $(TOOLS) --workspace --all-targets -- -D warnings
	@$(CARGO) clippy $(BENCH) --workspace --all-targets -- -D warnings

.PHONY: fmt
fmt: provision-root ## Format the code
	@$(ENTER) rustfmt src/service_group.rs
	@$(CARGO) fmt --manifest-path tools/Cargo.toml --all
	@$(CARGO) fmt --manifest-path bench/Cargo.toml --all

.PHONY: install uninstall
install: ## Build for the running kernel and install, as root
	@tools/install

uninstall: ## Remove what install installed
	@tools/install --uninstall

.PHONY: clean
clean: ## Remove what was built here; provisioned kernels stay in the cache
	@rm -rf $(BUILD) rust-project.json

.PHONY: provision-root provision-stock provision-debug
provision-root provision-stock provision-debug: provision-%:
	@qemu/provision $*
