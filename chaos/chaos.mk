# Fault runs: real processes, a real server, and a checker of what everyone saw. CHAOS_ARGS="-seed 7 -v" repeats a run
# and tells of each fault.
CHAOS_ARGS :=

.PHONY: chaos
chaos: chaos-faults chaos-availability ## both long runs on JetStream, one after the other

.PHONY: chaos-faults
chaos-faults: ## break everything for 15 minutes, at least 1,000 faults over 20,000 turns kept for 1 minute, and check the history
	go run ./chaos -duration 15m -gap 780ms -rate 28 -sessions 120 -lifelong 8 -age 60s $(CHAOS_ARGS)

.PHONY: chaos-quick
chaos-quick: ## the same for 20 seconds
	go run ./chaos -duration 20s -gap 400ms -rate 12 -sessions 20 -turns 8 -quiet 15s -lasting=false -age 10s $(CHAOS_ARGS)

.PHONY: chaos-redis
chaos-redis: ## the same on Redis for 5 minutes with appendfsync always, and for 5 with everysec
	go run ./chaos -bus redis -fsync always -duration 5m -gap 780ms -rate 20 -sessions 80 -lifelong 8 -age 40s $(CHAOS_ARGS)
	go run ./chaos -bus redis -fsync everysec -duration 5m -gap 780ms -rate 20 -sessions 80 -lifelong 8 -age 40s $(CHAOS_ARGS)

.PHONY: chaos-redis-quick
chaos-redis-quick: ## on Redis for 20 seconds with appendfsync always
	go run ./chaos -bus redis -duration 20s -gap 400ms -rate 12 -sessions 20 -turns 8 -quiet 15s -lasting=false -age 8s $(CHAOS_ARGS)

.PHONY: chaos-availability
chaos-availability: ## take a model's provider away half of the time and kill an instance each 10 s: 99.9 % of turns succeed
	go run ./chaos -availability -duration 5m -rate 15 $(CHAOS_ARGS)

.PHONY: demo-failover
demo-failover: ## watch one answer survive the death of the worker that writes it
	go run ./chaos -demo

.PHONY: chaos-order
chaos-order: ## post 20,000 turns of 1,000 sessions to 8 instances, check their order, and print what a turn costs
	go run ./chaos -order
