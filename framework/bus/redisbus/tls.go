package redisbus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// tlsConfig returns how to speak TLS, or nil without it.
func (c Config) tlsConfig(wanted bool) (*tls.Config, error) {
	if !wanted {
		if c.CA != "" || c.Cert != "" {
			return nil, &checkError{
				fmt.Errorf("a CA or certificate for a connection without TLS: %w", bus.ErrInvalid),
				"use rediss:// or rediss+sentinel:// in the URL",
			}
		}

		return nil, nil //nolint:nilnil // no TLS is no error
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fileError("CA", c.CA, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fileError("CA", c.CA, errors.New("it holds no certificate in PEM"))
		}
	}
	if c.Cert != "" {
		cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fileError("certificate", c.Cert, err)
		}
		t.Certificates = []tls.Certificate{cert}
	}

	return t, nil
}

// fileError names the file that can't be used, once.
func fileError(what, path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return &checkError{fmt.Errorf("%s file %s: %w", what, pe.Path, pe.Err), "check the path and its permissions"}
	}

	return &checkError{fmt.Errorf("%s file %s: %w", what, path, err), "check what the file holds"}
}
