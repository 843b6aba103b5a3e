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
	@echo 'usage: make TARGET [KERNEL=stock|debug|debug-qemu] [KDIR=folder]'
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
# User Mode Linux loads modules far from its own code.
ARCHITECTURE	 = $(if $(shell grep -s '^CONFIG_UML=y' $(MODULE_KDIR)/.config),ARCH=um KCFLAGS="-Wno-null-pointer-arithmetic $(KCFLAGS)" KRUSTFLAGS="-Crelocation-model=static -Ccode-model=large")
# A make of its own: the job server of this one does not reach into the root.
KBUILD		 = $(MODULE_ENTER) env -u MAKEFLAGS -u MFLAGS make -j$(shell nproc) --no-print-directory -C $(MODULE_KDIR) M=$(CURDIR) MO=$(CURDIR)/$(MODULE_BUILD) $(COMPILER) $(ARCHITECTURE)

.PHONY: module
module: $(if $(KDIR),,provision-$(KERNEL)) ## Build the module for KERNEL, or against KDIR
	@mkdir -p $(MODULE_BUILD)
	@$(KBUILD) modules

.PHONY: clippy-module
clippy-module: MODULE_BUILD := $(MODULE_BUILD)-clippy
clippy-module: provision-$(KERNEL)
	@mkdir -p $(MODULE_BUILD)
	@$(KBUILD) CLIPPY=1 modules

# What the runner's own test has a debug kernel report.
.PHONY: provoke
provoke: provision-$(KERNEL)
	@mkdir -p $(MODULE_BUILD)-provoke
	@$(KBUILD) M=$(CURDIR)/qemu/provoke MO=$(CURDIR)/$(MODULE_BUILD)-provoke modules

# With KDIR, the kernel's source is where its build tree says.
.PHONY: editors rust-analyzer
editors: module ## Write compile_commands.json and rust-project.json, for clangd and rust-analyzer
	@$(KBUILD) rust-analyzer
	@tools/editors/write $(MODULE_BUILD) $(if $(KDIR),$(KDIR)/source /,"$$(qemu/kdir --source)" \
		"$$(bash -c '. qemu/lib.bash && root_folder')")
rust-analyzer: editors

.PHONY: ynl
ynl: provision-stock ## Generate the netlink code from its specification
	@$(ENTER) tools/ynl/generate "$$(qemu/kdir --source)"

# ---- programs ----

# sgctl alone, which is all that a demo needs.
.PHONY: sgctl
sgctl: provision-root
	@$(CARGO) build --release $(TOOLS) --package sgctl --bin sgctl
	@mkdir -p $(BUILD)/bin
	@install -C -t $(BUILD)/bin $(BUILD)/cargo/release/sgctl

.PHONY: tools
tools: provision-root ## Build sgctl, its manual pages and completions
	@$(CARGO) build --release $(TOOLS) --workspace --bins --examples
	@mkdir -p $(BUILD)/bin
	@install -C -t $(BUILD)/bin $(BUILD)/cargo/release/sgctl $(BUILD)/cargo/release/examples/workers \
		$(BUILD)/cargo/release/examples/cluster_oracle
	@$(ENTER) $(BUILD)/cargo/release/sgctl-gen $(BUILD)
	@$(ENTER) cc -Wall -Wextra -Werror -O2 -Iinclude/uapi -o $(BUILD)/reuse_workers examples/c/reuse_workers.c
	@install -C -t $(BUILD)/bin $(BUILD)/reuse_workers

# What computes and draws the figures of demo and bench.
.PHONY: reporter
reporter: provision-root
	@$(CARGO) build --quiet --release --locked $(BENCH)

.PHONY: selftests
selftests: provision-stock ## Build the tests that run in a guest
	@$(ENTER) $(MAKE) -C selftests OUT=$(CURDIR)/$(BUILD)/selftests KSRC="$$(qemu/kdir --source)"

# ---- to see it work ----

.PHONY: demo
demo: ## See nginx keep its connections when a worker hangs
	@$(MAKE) --no-print-directory -j3 KERNEL=stock module sgctl reporter
	@bench/demo

.PHONY: bench
bench: provision-stock ## Measure; prints tables, draws to build/bench
	@$(MAKE) --no-print-directory module KERNEL=stock
	@$(MAKE) --no-print-directory tools
	@bench/run $(NAME)

# ---- tests: what each does is in docs/testing.md ----

# NAME: which, as `listen`, `debug/stall` or `clippy`. KERNEL, if it is given: where.
# SHUFFLE: yes or a seed, in random order.
TEST	:= selftests/all
TEST_OPTIONS = --name '$(NAME)' --shuffle '$(SHUFFLE)' \
	--kernel '$(if $(filter command environment,$(firstword $(origin KERNEL))),$(KERNEL))'

.PHONY: check
check: ## Run the tests of the host: builds, lint, unit tests, a little fuzzing (3 minutes)
	@$(TEST) check $(TEST_OPTIONS)

.PHONY: test
test: ## Run all tests, on the host and in guests; NAME=, KERNEL=, SHUFFLE=
	@$(TEST) test $(TEST_OPTIONS)

.PHONY: test-long
test-long: ## Run what takes long: stress, fuzzing, chaos, the emulated debug kernel
	@$(TEST) long $(TEST_OPTIONS)

.PHONY: test-repeat
test-repeat: ## Repeat the concurrent suites with random seeds; SECONDS_LONG=3600, or ROUNDS= of all; LOAD=yes
	@$(TEST) repeat $(TEST_OPTIONS) --seconds '$(SECONDS_LONG)' --rounds '$(ROUNDS)' --load '$(LOAD)'

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
	@rm -rf $(BUILD) compile_commands.json rust-project.json

.PHONY: provision-root provision-stock provision-debug provision-debug-qemu
provision-root provision-stock provision-debug provision-debug-qemu: provision-%:
	@qemu/provision $*
