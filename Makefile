# SPDX-License-Identifier: Apache-2.0
# The front door for fingers that type make; ./dev does the work.
PREFIX ?= /usr/local
DESTDIR ?=

all build:
	@./dev build
check test:
	@./dev test
lint fmt bench fuzz run clean setup:
	@./dev $@
install:
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' ./dev install

.PHONY: all build check test lint fmt bench fuzz run clean setup install
