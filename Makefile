# SPDX-License-Identifier: GPL-2.0-only
#
# make help says what there is. V=1 shows the commands.

all: build

include version.mk

TOP := $(CURDIR)
BUILD := $(TOP)/build
OUTPUT := $(BUILD)
export TOP OUTPUT

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
MAKEFLAGS += --no-print-directory
endif
export V Q

# These work before anything is configured.
PLAIN := help setup clean distclean
# These install what they need, as far as it is missing.
READY := demo test test-debug test-kcsan fuzz bench check shell

ifneq ($(filter-out $(PLAIN),$(or $(MAKECMDGOALS),all)),)
include config.mk
# A kernel chosen later (scripts/kernel --update) configures anew.
config.mk: configure $(wildcard $(KCACHE)/release)
	$(if $(filter $(READY),$(MAKECMDGOALS)),$(Q)scripts/setup)
	$(Q)./configure $(CONFIGURE_ARGS)
export KVER KDIR KSRC KMODULES VMLINUX_BTF CC CLANG LLVM_STRIP BPFTOOL
export LIBBPF_CFLAGS LIBBPF_LIBS
endif

# The module for the guest's two worlds; tests and programs need the types of one.
export SMC_ULP_KO := $(BUILD)/smcd/smc_ulp.ko

help:
	@echo 'To see it and to test it:'
	@echo '  demo        real programs over SMC, in a virtual machine'
	@echo '  test        build everything and run all tests; T=NAME runs one, T=-l lists'
	@echo '  test-debug  tests and fuzzer on a kernel with KASAN, lockdep and more (builds it: 30 min)'
	@echo '  test-kcsan  the same with KCSAN'
	@echo '  fuzz        random system calls on attached sockets (SECONDS=30 SEED=1)'
	@echo '  bench       measure against TCP and other ways to SMC; P=PART runs one boot'
	@echo '  check       style, static analysis, spelling, licences'
	@echo '  shell       a shell in the virtual machine (DEVICE=smcd|smcr|none)'
	@echo 'To build:'
	@echo '  all         everything (the default)'
	@echo '  module      smc_ulp.ko, for the stock smc.ko and for smc-lo'
	@echo '  smc-lo      smc.ko and smc_diag.ko of the same version with loopback-ism'
	@echo '  lib cli bpf selftests examples'
	@echo '  bpftool     bpftool of linux-source that knows struct_ops of modules'
	@echo '  install     library, command line tool, policies (prefix, DESTDIR)'
	@echo '  setup       install the Debian packages that all this needs'
	@echo '  clean distclean'
	@echo 'V=1 shows the commands, scripts/vm --help how to run anything in the guest.'

# --- the kernel side ----------------------------------------------------------

smc-lo:
	$(Q)scripts/build-smc-lo $(BUILD)/smc-lo

# The stock smc.ko, for its BTF.
$(BUILD)/stock/smc.ko: $(KMODULES)/kernel/net/smc/smc.ko.xz
	$(say) XZ $(@:$(TOP)/%=%)
	$(Q)mkdir -p $(@D)
	$(Q)xz -dc $< > $@.$$$$ && mv $@.$$$$ $@

module_for = $(MAKE) -C net/smc KDIR=$(KDIR) VMLINUX_BTF=$(VMLINUX_BTF) SMC_KO=$(1) O=$(2)

module: smc-lo $(BUILD)/stock/smc.ko
	$(Q)+$(call module_for,$(BUILD)/stock/smc.ko,$(BUILD)/smcr)
	$(Q)+$(call module_for,$(BUILD)/smc-lo/smc.ko,$(BUILD)/smcd)

# What struct_ops of modules need that the distribution's bpftool has not: see patches.
bpftool:
	$(Q)scripts/build-bpftool $(BUILD)/bpftool

$(BUILD)/vmlinux.h: $(VMLINUX_BTF) config.mk
	$(say) GEN $(@:$(TOP)/%=%)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPFTOOL) btf dump file $< format c > $@.$$$$ && mv $@.$$$$ $@

# --- user space, as far as it is there -----------------------------------------

# descend DIRECTORY [GOAL]
descend = $(if $(wildcard $(1)/Makefile),$(Q)+$(MAKE) -C $(1) $(2))

lib cli: $(BUILD)/vmlinux.h
	$(call descend,libsmcpolicy)
cli: lib

bpf: $(BUILD)/vmlinux.h module lib
	$(call descend,bpf_progs)

selftests: $(BUILD)/vmlinux.h module lib bpf
	$(call descend,selftests/bpf)
	$(call descend,selftests/fuzz)

examples: lib
	$(call descend,examples)

demo-tools: lib
	$(call descend,demo)

build: module lib cli bpf selftests examples demo-tools

install: lib cli bpf
	$(call descend,libsmcpolicy,install)
	$(call descend,bpf_progs,install)

# --- use ----------------------------------------------------------------------

setup:
	$(Q)scripts/setup

# Needs what was missing installed before anything is built, in parallel.
parallel = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
ready = $(Q)scripts/setup && $(MAKE) $(parallel)

demo:
	+$(ready) build
	$(Q)scripts/demo

# T=NAME: only those; T=-l lists, T=--checks adds the checks
test:
	+$(ready) build bpftool
	$(Q)scripts/run-tests $(T)

# T=NAME: only that test
test-debug test-kcsan:
	+$(ready) build
	$(Q)scripts/test-debug $(@:test-%=%) $(T)

# DEVICE=smcd|smcr|none
fuzz:
	+$(ready) build
	$(Q)scripts/fuzz --seconds $(or $(SECONDS),30) --seed $(or $(SEED),1) --device $(or $(DEVICE),smcd)

# P=instructions|smcd|smcr: only that; P=--check fails on a missed promise
bench:
	+$(ready) build
	$(Q)+$(MAKE) -C bench
	$(Q)scripts/bench $(P)

shell:
	+$(ready) module
	$(Q)scripts/vm --device $(or $(DEVICE),smcd) --interactive

check:
	+$(ready) module
	$(Q)scripts/run-checks

clean:
	$(call descend,selftests/fuzz,clean)
	$(call descend,selftests/bpf,clean)
	$(call descend,examples,clean)
	$(call descend,demo,clean)
	$(call descend,bench,clean)
	$(call descend,bpf_progs,clean)
	$(call descend,libsmcpolicy,clean)
	$(Q)rm -rf $(BUILD)

distclean: clean
	$(Q)rm -f config.mk

.PHONY: all help setup build module smc-lo bpftool lib cli bpf selftests examples install
.PHONY: demo demo-tools test test-debug test-kcsan fuzz bench check shell clean distclean
