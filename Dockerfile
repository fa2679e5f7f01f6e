# Every image of Woodwork, FROM scratch: static binaries, certificates, and nothing else. Choose the program:
#
#   docker build --build-arg PROGRAM=woodwork-llm -t woodwork-llm .                      built from source, in a container
#   docker build --build-arg PROGRAM=woodwork-llm --target from-host -t woodwork-llm .   from what "make images" built here
#
# Programs: woodwork-input, woodwork-llm, woodwork-output, woodwork, nats-server. Works with BuildKit and with the builder
# before it, which builds each stage up to the target: "from-host" stands before the first stage that needs a base image.

ARG PROGRAM=woodwork
ARG GO_VERSION=1.26

FROM scratch AS base
USER 65532:65532
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt

FROM base AS service
EXPOSE 8090
ENV WOODWORK_HEALTH=:8090
STOPSIGNAL SIGTERM

FROM service AS woodwork-input
EXPOSE 8080
ENV WOODWORK_HTTP=:8080
ENTRYPOINT ["/woodwork-input"]
HEALTHCHECK --interval=10s --timeout=3s --retries=3 CMD ["/woodwork-input", "healthcheck"]

FROM service AS woodwork-llm
ENTRYPOINT ["/woodwork-llm"]
HEALTHCHECK --interval=10s --timeout=3s --retries=3 CMD ["/woodwork-llm", "healthcheck"]

FROM service AS woodwork-output
EXPOSE 8081
ENV WOODWORK_HTTP=:8081
ENTRYPOINT ["/woodwork-output"]
HEALTHCHECK --interval=10s --timeout=3s --retries=3 CMD ["/woodwork-output", "healthcheck"]

FROM base AS woodwork
ENTRYPOINT ["/woodwork"]

# A new volume at /data belongs to the user that owns the folder in the image.
FROM base AS nats-server
COPY --chown=65532:65532 deploy/data /data
EXPOSE 4222 8222
ENTRYPOINT ["/nats-server"]
CMD ["-js", "-sd", "/data", "-m", "8222"]
HEALTHCHECK --interval=10s --timeout=3s --retries=3 \
	CMD ["/probe", "http://127.0.0.1:8222/healthz?js-server-only=true"]

FROM ${PROGRAM} AS from-host
ARG PROGRAM
COPY bin/image/${PROGRAM} /

FROM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG PROGRAM
RUN deploy/image-root.sh ${PROGRAM} /image

FROM ${PROGRAM} AS from-source
COPY --from=build /image /
