#!/bin/sh
# Fills a folder with the root file system of a program's image: static Linux binaries and the certificates of public
# authorities. Runs where Go is: on this machine (make images), or in the Dockerfile's build stage.
# Usage: image-root.sh PROGRAM FOLDER. GOARCH in the environment chooses the architecture.
set -eu

program=$1
root=$2

build() {
	CGO_ENABLED=0 GOOS=linux go build -trimpath -ldflags '-s -w' -o "$root/$1" "$2"
}

certificates() {
	mkdir -p "$root/etc/ssl/certs"
	for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
		if [ -f "$bundle" ]; then
			cp "$bundle" "$root/etc/ssl/certs/ca-certificates.crt"
			return
		fi
	done
	echo "image-root.sh: no certificate bundle here: the image of $program can't verify TLS servers" >&2
}

mkdir -p "$root"
case $program in
woodwork) build woodwork ./cmd/woodwork ;;
woodwork-*) build "$program" "./services/${program#woodwork-}" ;;
nats-server)
	build nats-server github.com/nats-io/nats-server/v2
	build probe ./deploy/probe
	;;
*)
	echo "image-root.sh: unknown program $program" >&2
	exit 2
	;;
esac
certificates
