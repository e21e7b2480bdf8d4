# tollkeeper: what to type. `make help` lists it.

CARGO ?= cargo
# One profile for tests and demo: what is tested is what is shown.
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
export TOLLKEEPER_BIN := $(abspath $(TARGET))/debug/tollkeeper

.PHONY: help tools build demo demo-diameter test lint unit e2e sim soak soak-seeds soak-core soak-agent soak-diameter soak-kinesis soak-e2e fuzz bench-call-machine bench-core bench-esl bench-rating bench-calls bench-cdr bench-freeswitch bench-diameter

help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

tools: ## installs what is missing (Debian packages; root or sudo)
	@scripts/install-tools.sh

build: ## builds everything
	$(CARGO) build --workspace --all-targets

demo: tools ## real calls through a real Kamailio, charged, cut off and recorded; a table at the end
	$(CARGO) build --workspace --bin tollkeeper --bin demo --bin demo_diameter
	@$(TARGET)/debug/demo

demo-diameter: tools ## Diameter clients behind a real freeDiameterd relay, charged to the last unit; a table at the end
	$(CARGO) build --workspace --bin tollkeeper --bin demo --bin demo_diameter
	@$(TARGET)/debug/demo_diameter

test: tools lint unit e2e ## everything, unit to end-to-end

lint: ## formatting, clippy, rustdoc
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

# The files of tests/ that need other programs, or minutes, are named after what they are about: diameter_, freeswitch_, kamailio_, kinesis_. These
# are all others; tests/tests/house.rs sees to it. Always the whole workspace is named, for binaries as well, so that one set of
# features is built and not three.
UNIT_TESTS := --lib --bins --test '[!dfk]*' --test diameter --test 'f[!r]*' --test freeswitch_sequences

unit: ## all tests that need no other program
	$(CARGO) build --workspace --bin tollkeeper
	$(CARGO) test --workspace $(UNIT_TESTS)
	$(CARGO) test --workspace --doc

e2e: tools ## end-to-end tests with real Kamailio, SIPp and Kinesis-compatible servers, and the demos (TOLLKEEPER_FREESWITCH=PREFIX: with FreeSWITCH)
	$(CARGO) build --workspace --bin tollkeeper --bin demo --bin demo_diameter
	scripts/e2e.sh
	@$(TARGET)/debug/demo
	@$(TARGET)/debug/demo_diameter

sim: ## agents, clients and core in simulated time, with faults and an auditor: SEEDS=200 of them, FROM=0, or one SEED= with its last steps
	$(CARGO) build --workspace --bin sim
	@$(TARGET)/debug/sim $(if $(SEED),--seed $(SEED),--from $(or $(FROM),0) --seeds $(or $(SEEDS),200)) $(if $(TRACE),--trace $(TRACE))

soak: soak-seeds soak-core soak-agent soak-diameter soak-kinesis soak-e2e ## the long runs, one after the other

soak-seeds: ## property tests and simulations with SEEDS=20000 cases each
	PROPTEST_CASES=$(or $(SEEDS),20000) $(CARGO) test --workspace $(UNIT_TESTS)

soak-core: ## 20 times kill -9 of the core under load (KILLS= SEED=)
	KILLS=$(or $(KILLS),20) $(if $(SEED),TOLLKEEPER_SEED=$(SEED)) $(CARGO) test -p tollkeeper --test suite -- --nocapture kills::

soak-agent: ## 20 times kill -9 of the agent under load, each third time with the core (KILLS= SEED=)
	$(CARGO) build --workspace --bin tollkeeper
	KILLS=$(or $(KILLS),20) $(if $(SEED),TOLLKEEPER_SEED=$(SEED)) $(CARGO) test --workspace --test agent_kills -- --nocapture

soak-diameter: ## 20 times kill -9 of agent and core under Diameter load (KILLS= SEED=)
	$(CARGO) build --workspace --bin tollkeeper
	KILLS=$(or $(KILLS),20) $(if $(SEED),TOLLKEEPER_SEED=$(SEED)) $(CARGO) test --workspace --test diameter_kills -- --nocapture

soak-kinesis: tools ## 200,000 records and 20 kills through a hostile Kinesis (RECORDS= KILLS= SEED= BACKEND=own|kinesalite|moto)
	BACKEND=$(or $(BACKEND),own) RECORDS=$(or $(RECORDS),200000) KILLS=$(or $(KILLS),20) $(if $(SEED),TOLLKEEPER_SEED=$(SEED)) \
	    $(CARGO) test --workspace --test kinesis_faults -- --nocapture kills

soak-e2e: tools ## the end-to-end tests ROUNDS=10 times
	$(CARGO) build --workspace --bin tollkeeper --bin demo --bin demo_diameter
	for round in $$(seq $(or $(ROUNDS),10)); do scripts/e2e.sh || exit 1; done

fuzz: ## a minute of fuzzing for each decoder (needs cargo install cargo-fuzz)
	for target in diameter_decode diameter_peer esl_decode evapi_decode sip_uri tariff_load; do \
	    mkdir -p fuzz/corpus/$$target; \
	    RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=60 || exit 1; \
	done

bench-call-machine: ## the call machine: inputs a second, bytes a call
	$(CARGO) bench -p benches --bench call_machine

bench-core: ## the charging core: durable decisions, ChargeStream and Charge a second, memory and restart of a million accounts
	$(CARGO) run --release -p benches --bin core_load

bench-esl: ## FreeSWITCH events a second, beside the crate freeswitch-esl-tokio
	$(CARGO) bench -p benches --bench esl_decode

bench-rating: ## prices a second over a plan of a million prefixes, its load, its memory
	$(CARGO) bench -p benches --bench rating

bench-diameter: ## Diameter codec and server beside the crate diameter, by processor time (needs OpenSSL's headers)
	$(CARGO) run --release --manifest-path benches/diameter/Cargo.toml --bin bench-diameter
	$(CARGO) run --release --manifest-path benches/diameter/Cargo.toml --bin server

bench-calls: tools ## SIPp at 100 and 200 calls/s through Kamailio, with and without charging
	$(CARGO) build --release -p tollkeeper
	TOLLKEEPER_BIN=$(abspath $(TARGET))/release/tollkeeper $(CARGO) run --release -p benches --bin sipp_load

bench-freeswitch: ## the FreeSWITCH agent at 200 calls/s: its share of a processor, the lateness of its answers, lost charges
	$(CARGO) build --release -p tollkeeper
	TOLLKEEPER_BIN=$(abspath $(TARGET))/release/tollkeeper $(CARGO) run --release -p benches --bin freeswitch_load

bench-cdr: tools ## records/s through the journal, share of the shards' limits, time until a record can be read
	$(CARGO) run --release -p benches --bin bench_cdr -- journal --at-least 100000
	$(CARGO) run --release -p benches --bin bench_cdr -- shipper --at-least 950
	$(CARGO) run --release -p benches --bin bench_cdr -- latency
