package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// reread is how often the files are looked at, at most; new connections do.
const reread = time.Second

// TLSFiles are the PEM files of the port.
type TLSFiles struct {
	// Certificate and Key are the server's own.
	Certificate, Key string
	// ClientCA signs clients' certificates. Empty: none are asked for.
	ClientCA string
	// Optional lets clients without a certificate in; Options.Identify then
	// sees an empty id.
	Optional bool
}

// TLS reads the files, and reads them again when they have changed, at a new
// connection. Files that do not fit together (a key that is not yet the
// certificate's) change nothing, and log says so.
func TLS(files TLSFiles, log *slog.Logger) (credentials.TransportCredentials, error) {
	c, err := TLSConfig(files, log)
	if err != nil {
		return nil, err
	}
	return credentials.NewTLS(c), nil
}

// TLSConfig is the same for a port of HTTP/2 that is not gRPC's.
func TLSConfig(files TLSFiles, log *slog.Logger) (*tls.Config, error) {
	t := &tlsFiles{files: files, log: log}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if err := t.read(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return t.current(), nil },
	}, nil
}

type tlsFiles struct {
	files TLSFiles
	log   *slog.Logger

	mu     sync.Mutex
	config *tls.Config
	stamps []stamp
	looked time.Time
}

// stamp tells one content of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

// current is the configuration of a new connection.
func (t *tlsFiles) current() *tls.Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.looked) < reread {
		return t.config
	}
	t.looked = time.Now()
	if slices.Equal(t.stamps, t.stamp()) {
		return t.config
	}
	if err := t.read(); err != nil {
		t.log.Warn("new TLS files are not used", "reason", err)
	}
	return t.config
}

func (t *tlsFiles) stamp() (stamps []stamp) {
	for _, name := range []string{t.files.Certificate, t.files.Key, t.files.ClientCA} {
		if info, err := os.Stat(name); err == nil { // what is missing reads as such below
			stamps = append(stamps, stamp{info.ModTime(), info.Size()})
		}
	}
	return stamps
}

// read replaces the configuration if the files are good.
func (t *tlsFiles) read() error {
	stamps := t.stamp()
	pair, err := tls.LoadX509KeyPair(t.files.Certificate, t.files.Key)
	if err != nil {
		return fmt.Errorf("tls certificate %s, key %s: %w", t.files.Certificate, t.files.Key, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{pair}}
	if t.files.ClientCA != "" {
		pem, err := os.ReadFile(t.files.ClientCA)
		if err != nil {
			return fmt.Errorf("tls client_ca: %w", err)
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return errors.New("tls client_ca " + t.files.ClientCA + ": no certificate in it")
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
		if t.files.Optional {
			c.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	t.config, t.stamps = c, stamps
	return nil
}
