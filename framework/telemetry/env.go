package telemetry

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rs/zerolog"
)

// Config says whether spans are exported, and whose they are. The zero value exports none. Where to and how is what the
// standard variables of OpenTelemetry say in the process's environment.
type Config struct {
	// Protocol is how a collector gets the spans: [GRPC] or [HTTP]. Defaults to none: tracing is off.
	Protocol string
	// Service is the component, if OTEL_SERVICE_NAME doesn't name another one. Defaults to "woodwork".
	Service string
	// Namespace is the application. Defaults to none.
	Namespace string
	// Version of the service. Defaults to none.
	Version string
	// Instance tells this process from others. Defaults to none.
	Instance string
	// Logger is told when the collector can't be reached. Defaults to none.
	Logger zerolog.Logger
}

// The protocols of [Config].
const (
	GRPC = "grpc"
	HTTP = "http/protobuf"
)

const (
	exporterOTLP = "otlp"
	exporterNone = "none"

	prefix       = "OTEL_EXPORTER_OTLP_"
	tracesPrefix = prefix + "TRACES_"
)

// Mistakes in the environment. Values of headers are never shown.
var (
	errExporter = errors.New("use otlp or none")
	errProtocol = errors.New("use grpc or http/protobuf")
	errEndpoint = errors.New("write it as http://host:port or https://host:port")
	errPairs    = errors.New("write it as key=value,key=value")
	errSampler  = errors.New("use always_on, always_off, traceidratio, or one of these with the prefix parentbased_")
	errRatio    = errors.New("use a number from 0 to 1")
	errMillis   = errors.New("use a number of milliseconds above 0")
	errBool     = errors.New("use true or false")
	errPacking  = errors.New("use gzip or none")
)

// FromEnv reads from the environment whether tracing is on: OTEL_TRACES_EXPORTER is "otlp", or is not set where an
// endpoint is; and OTEL_SDK_DISABLED is not "true". It returns everything that is wrong with the variables that it
// knows, when it is on.
func FromEnv(env func(name string) string) (Config, error) {
	read := func(name string) string { return strings.TrimSpace(env(name)) }

	on, err := switchedOn(read)
	if err != nil || !on {
		return Config{}, err
	}

	if err := check(read); err != nil {
		return Config{}, err
	}

	return Config{Protocol: either(read, "PROTOCOL", HTTP)}, nil
}

func switchedOn(env func(string) string) (bool, error) {
	const name, disabled = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"

	if err := boolean(env(disabled)); err != nil {
		return false, wrong(disabled, env(disabled), err)
	}

	if strings.EqualFold(env(disabled), "true") {
		return false, nil
	}

	switch exporter := env(name); exporter {
	case exporterOTLP:
		return true, nil
	case exporterNone:
		return false, nil
	case "":
		return either(env, "ENDPOINT", "") != "", nil
	default:
		return false, wrong(name, exporter, errExporter)
	}
}

// either returns a setting of the exporter: that for traces, or else that for all signals, or else the fallback.
func either(env func(string) string, name, fallback string) string {
	for _, full := range []string{tracesPrefix + name, prefix + name} {
		if v := env(full); v != "" {
			return v
		}
	}

	return fallback
}

// check returns what the exporters would only complain of, or pass over.
func check(env func(string) string) error {
	var errs []error

	note := func(name string, err error) {
		if v := env(name); v != "" && err != nil {
			errs = append(errs, wrong(name, v, err))
		}
	}

	for _, p := range []string{prefix, tracesPrefix} {
		note(p+"PROTOCOL", oneOf(env(p+"PROTOCOL"), errProtocol, GRPC, HTTP))
		note(p+"COMPRESSION", oneOf(env(p+"COMPRESSION"), errPacking, "gzip", exporterNone))
		note(p+"INSECURE", boolean(env(p+"INSECURE")))
		note(p+"TIMEOUT", millis(env(p+"TIMEOUT")))
		errs = append(errs, secret(p+"ENDPOINT", endpoint(env(p+"ENDPOINT"))), secret(p+"HEADERS", pairs(env(p+"HEADERS"))))
	}

	errs = append(errs, secret("OTEL_RESOURCE_ATTRIBUTES", pairs(env("OTEL_RESOURCE_ATTRIBUTES"))))
	for _, name := range []string{"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"} {
		note(name, millis(env(name)))
	}

	note("OTEL_TRACES_SAMPLER", oneOf(strings.TrimPrefix(strings.ToLower(env("OTEL_TRACES_SAMPLER")), "parentbased_"),
		errSampler, "always_on", "always_off", "traceidratio"))
	note("OTEL_TRACES_SAMPLER_ARG", ratio(env("OTEL_TRACES_SAMPLER_ARG")))

	return errors.Join(errs...)
}

// wrong names a variable that can't be used, with its value.
func wrong(name, value string, err error) error { return fmt.Errorf("%s=%.60q: %w", name, value, err) }

// secret names a variable that can't be used. Its value may hold a password.
func secret(name string, err error) error {
	if err == nil {
		return nil
	}

	return fmt.Errorf("%s: %w", name, err)
}

func oneOf(v string, err error, known ...string) error {
	if slices.Contains(known, v) {
		return nil
	}

	return err
}

func boolean(v string) error { return oneOf(strings.ToLower(v), errBool, "", "true", "false") }

func millis(v string) error {
	if n, err := strconv.Atoi(v); err != nil || n <= 0 {
		return errMillis
	}

	return nil
}

func ratio(v string) error {
	if n, err := strconv.ParseFloat(v, 64); err != nil || !(n >= 0 && n <= 1) {
		return errRatio
	}

	return nil
}

func endpoint(v string) error {
	if v == "" {
		return nil
	}

	if u, err := url.Parse(v); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errEndpoint
	}

	return nil
}

func pairs(v string) error {
	for pair := range strings.SplitSeq(v, ",") {
		key, value, found := strings.Cut(strings.TrimSpace(pair), "=")
		if pair == "" {
			continue
		}

		if _, err := url.PathUnescape(value); !found || strings.TrimSpace(key) == "" || err != nil {
			return errPairs
		}
	}

	return nil
}
