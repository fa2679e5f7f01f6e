# Benchmarks: Woodwork beside the bare brokers and its peers, in one process run. BENCH_ARGS="-run hop" measures one row.
BENCH_ARGS :=

.PHONY: bench
bench: redis ## measure everything, in less than 20 minutes, and write bench/results
	cd bench && PATH="$(CURDIR)/bin:$$PATH" go run . $(BENCH_ARGS)

.PHONY: bench-quick
bench-quick: redis ## the same in less than 4 minutes, into bench/results/quick.json
	cd bench && PATH="$(CURDIR)/bin:$$PATH" go run . -quick $(BENCH_ARGS)
