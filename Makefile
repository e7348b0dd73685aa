# SPDX-License-Identifier: Apache-2.0
# A thin front of meson: `make help`. What is built stands in build/KIND.

PREFIX ?= /usr
DESTDIR ?=
SEEDS ?= 10000
FUZZ_SECONDS ?= 60
ROUNDS ?= 1
FILE ?= examples/reference.yaml
# One of each kind, in less than three minutes; `nines drill --all` does all of them.
DEMO = host-off,zone-off,network-down:dmz,network-down:failover,link-down:fw1,black-hole:lb1/dmz
DEMO := $(DEMO),part-killed:lb1/proxy,part-killed:fw1/vip,graceful-stop:lb1,server-killed:web1,reload,upgrade
SOAK_FILE ?= examples/pair.yaml
SOAK_SECONDS ?= 1000
SECONDS ?= 60

all: release

help:
	@echo 'make            build/release/nines, hardened'
	@echo 'make debug      build/dbg/nines'
	@echo 'make demo       a whole site in a lab, broken and measured [ROUNDS=$(ROUNDS) FILE=$(FILE)]'
	@echo 'make test       every test, under sanitizers where it matters'
	@echo 'make lint       every check of the sources'
	@echo 'make late       the system tests with nines held up at random [WORD=one of the tests]'
	@echo 'make sim        the simulators on many schedules [SEEDS=$(SEEDS)]'
	@echo 'make fuzz       every fuzz target [FUZZ_SECONDS=$(FUZZ_SECONDS) each]'
	@echo 'make soak       false alarms under load [SOAK_SECONDS=$(SOAK_SECONDS)]'
	@echo 'make proxy-soak the proxy while everything around it misbehaves [SECONDS=$(SECONDS)]'
	@echo 'make bench      the figures, beside the programs others use'
	@echo 'make fmt        bring the sources into their format'
	@echo 'make install    [PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)]'
	@echo 'make clean      remove build/'

release:
	@scripts/deps.sh build
	scripts/build.sh release

debug:
	@scripts/deps.sh build test
	scripts/build.sh dbg

test:
	@scripts/deps.sh build test
	scripts/test.py

lint:
	@scripts/deps.sh build lint
	scripts/lint

demo:
	@scripts/deps.sh build demo
	scripts/build.sh release
	scripts/sandbox.sh build/release/nines drill --only $(DEMO) --rounds $(ROUNDS) \
		--html build/demo.html $(FILE)

late:
	@scripts/deps.sh build test
	scripts/build.sh dbg
	$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -O2 -shared -fPIC \
		-o build/late.so tests/late/late.c
	NINES=$(CURDIR)/build/dbg/nines LD_PRELOAD=$(CURDIR)/build/late.so \
		scripts/test.py system $(if $(WORD),--keyword '$(WORD)')

sim:
	@scripts/deps.sh build test
	scripts/sim.sh $(SEEDS)

fuzz:
	@scripts/deps.sh build fuzz
	scripts/fuzz.sh $(FUZZ_SECONDS)

soak:
	@scripts/deps.sh build demo
	scripts/build.sh release
	scripts/sandbox.sh build/release/nines drill --soak $(SOAK_SECONDS) --heartbeat 10ms $(SOAK_FILE)

proxy-soak:
	@scripts/deps.sh build test
	scripts/build.sh release
	scripts/sandbox.sh unshare --net tests/soak/proxy_soak.py build/release/nines $(SECONDS)

bench:
	@scripts/deps.sh build bench
	scripts/build.sh release
	bench/run.sh

fmt:
	@scripts/deps.sh lint
	git ls-files '*.c' '*.h' | xargs clang-format-14 -i

install: release
	meson configure build/release -Dprefix=$(PREFIX)
	DESTDIR=$(DESTDIR) meson install -C build/release

clean:
	rm -rf build

.PHONY: all help release debug test lint demo late sim fuzz soak proxy-soak bench fmt install clean
