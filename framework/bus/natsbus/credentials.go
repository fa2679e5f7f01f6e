package natsbus

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
)

// authOptions says who this client is and whom it trusts. Credentials of the configuration are used instead of those
// of a context or in a URL, not beside them: a client that shows two kinds is taken for whom the server looks first.
func (b *Bus) authOptions() ([]nats.Option, error) {
	c := b.cfg
	var opts []nats.Option
	if c.InProcess != nil {
		opts = append(opts, nats.InProcessServer(stallServer{c.InProcess}))
	}
	if c.User != "" || c.Token != "" || c.Creds != "" || c.NKey != "" {
		opts = append(opts, onlyOurCredentials)
	}
	if c.User != "" {
		opts = append(opts, nats.UserInfo(c.User, c.Password))
	}
	if c.Token != "" {
		opts = append(opts, nats.Token(c.Token))
	}
	if c.Creds != "" {
		opts = append(opts, ofFile("credentials", c.Creds, credentials(c.Creds)))
	}
	if c.NKey != "" {
		nkey, err := nats.NkeyOptionFromSeed(c.NKey)
		if err != nil {
			return nil, fileError("nkey", c.NKey, err)
		}
		opts = append(opts, nkey)
	}
	if c.CA != "" {
		opts = append(opts, ofFile("CA", c.CA, nats.RootCAs(c.CA)))
	}
	if c.Cert != "" {
		opts = append(opts, ofFile("certificate", c.Cert, nats.ClientCert(c.Cert, c.Key)))
	}

	return opts, nil
}

// onlyOurCredentials removes those of a context and of URLs, which the client would prefer.
func onlyOurCredentials(o *nats.Options) error {
	dropCredentials(o)
	for i, server := range o.Servers {
		if u, err := url.Parse(server); err == nil && u.User != nil {
			u.User = nil
			o.Servers[i] = u.String()
		}
	}

	return nil
}

// dropCredentials removes what a context set.
func dropCredentials(o *nats.Options) {
	o.User, o.Password, o.Token, o.Nkey = "", "", "", ""
	o.UserJWT, o.SignatureCB = nil, nil
}

// credentials uses a credentials file, and tries at once whether it can sign: the client would find out only when a
// server asks.
func credentials(path string) nats.Option {
	return func(o *nats.Options) error {
		if err := nats.UserCredentials(path)(o); err != nil {
			return err
		}
		_, err := o.SignatureCB([]byte("nonce"))

		return err
	}
}

// ofFile makes an error of an option one about the file that it reads.
func ofFile(what, path string, option nats.Option) nats.Option {
	return func(o *nats.Options) error {
		if err := option(o); err != nil {
			return fileError(what, path, err)
		}

		return nil
	}
}

// fileError names the file that can't be used, once.
func fileError(what, path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return &checkError{fmt.Errorf("%s file %s: %w", what, pe.Path, pe.Err), "check the path and its permissions"}
	}
	text := strings.ReplaceAll(err.Error(), fmt.Sprintf(" from file %q", path), "")

	return &checkError{fmt.Errorf("%s file %s: %s", what, path, strings.TrimPrefix(text, "nats: ")), "check what the file holds"}
}
