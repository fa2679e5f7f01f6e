# Container images and their test. Include it from the Makefile.
#
# The images are made of binaries that Go builds on this machine, so nothing is pulled. They can also be built from
# source in a container: docker compose build.

IMAGES := woodwork-input woodwork-llm woodwork-output woodwork nats-server
IMAGE_TAG ?= latest
# Compose as Docker's plugin, else one that is built here.
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo "docker compose" || echo bin/docker-compose)

.PHONY: images
images: ## build all container images from binaries that are built here
	@set -e; arch=$$(docker version --format '{{.Server.Arch}}'); \
	for program in $(IMAGES); do \
		name=woodwork-$${program#woodwork-}; [ "$$program" != woodwork ] || name=woodwork; \
		echo "image $$name:$(IMAGE_TAG) for linux/$$arch"; \
		rm -rf "bin/image/$$program"; \
		GOARCH="$$arch" deploy/image-root.sh "$$program" "bin/image/$$program"; \
		docker build --quiet --target from-host --build-arg "PROGRAM=$$program" --tag "$$name:$(IMAGE_TAG)" . >/dev/null; \
	done

bin/docker-compose:
	deploy/install-compose.sh $@

.PHONY: test-containers
test-containers: ## run the pipeline in containers, where there is an engine
	@if ! reason=$$(deploy/engine.sh); then \
		echo "SKIPPED, containers are not tested: $$reason"; \
	else \
		compose="$(COMPOSE)"; \
		$(MAKE) --no-print-directory images $$(case "$$compose" in bin/*) echo "$$compose";; esac) && \
		WOODWORK_CONTAINERS=1 WOODWORK_COMPOSE="$$compose" \
			go test -count=1 -v -timeout 5m ./deploy/composetest; \
	fi
