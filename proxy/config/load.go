package config

// From a SecretSpec to a Secret.

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Bounds of what is read.
const (
	// MaxSecretFile is the largest file, in bytes.
	MaxSecretFile = 4 << 20
	// ticketKeyBytes is what Envoy wants of each key.
	ticketKeyBytes = 80
)

// Reader reads a file that a secret is in, at most MaxSecretFile bytes of it.
type Reader func(path string) ([]byte, error)

// Load reads s and checks it, under the key of the reference to it. An error is
// a *FieldError, and says nothing of what is secret.
func (s *SecretSpec) Load(key string, read Reader) (*Secret, error) {
	l := &loading{read: read, sum: sha256.New()}
	out := &Secret{Key: key, Name: s.Name}
	var err error
	switch {
	case s.Certificate != nil:
		out.Certificate, err = l.certificate(s.Certificate)
	case s.Validation != nil:
		out.Validation, err = l.validation(s.Validation)
	case s.Tickets != nil:
		out.Tickets, err = l.tickets(s.Tickets)
	default:
		out.Generic, err = l.generic(s.Generic)
	}
	if err != nil {
		return nil, err
	}
	l.sum.Sum(out.sum[:0])
	return out, nil
}

// Files lists the files that Load reads, each once.
func (s *SecretSpec) Files() (all []string) {
	for d := range s.data {
		if d.Path != "" && !slices.Contains(all, d.Path) {
			all = append(all, d.Path)
		}
	}
	return all
}

// Directories lists where a move says that a file was replaced, each once.
func (s *SecretSpec) Directories() (all []string) {
	for d := range s.data {
		at := d.Directory
		if at == "" {
			at = filepath.Dir(d.Path)
		}
		if d.Path != "" && !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	return all
}

// data yields all texts.
func (s *SecretSpec) data(yield func(Data) bool) {
	all := slices.Clone(s.Tickets)
	for _, name := range slices.Sorted(maps.Keys(s.Generic)) {
		all = append(all, s.Generic[name])
	}
	if c := s.Certificate; c != nil {
		all = append(all, c.Chain, c.Key, c.Password, c.PKCS12, c.OCSP)
	}
	if v := s.Validation; v != nil {
		all = append(all, v.Roots, v.RevocationLists, v.DomainMap)
		for _, t := range v.Domains {
			all = append(all, t.Roots)
		}
	}
	for _, d := range all {
		if !yield(d) {
			return
		}
	}
}

// loading is one Load.
type loading struct {
	read Reader
	sum  hash.Hash
}

// text gives what d says, and counts it into the sum.
func (l *loading) text(field string, d Data) ([]byte, error) {
	text := []byte(d.Inline.Reveal())
	if d.Env != "" {
		value, set := os.LookupEnv(d.Env)
		if !set { // Envoy's text (config/datasource.cc)
			return nil, badField(field, "Environment variable doesn't exist: %s", d.Env)
		}
		text = []byte(value)
	}
	if d.Path != "" {
		var err error
		if text, err = l.read(d.Path); err != nil {
			return nil, &FieldError{field, err}
		}
		if len(text) > MaxSecretFile {
			return nil, badField(field, "%s: more than %d bytes", d.Path, MaxSecretFile)
		}
	}
	l.count(field, text)
	return text, nil
}

// count puts a text into the sum so that no two lists of texts give one sum.
func (l *loading) count(field string, text []byte) {
	for _, part := range [][]byte{[]byte(field), text} {
		l.sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		l.sum.Write(part)
	}
}

func (l *loading) tickets(keys []Data) (*Tickets, error) {
	t := &Tickets{}
	for i, d := range keys {
		field := fmt.Sprintf("keys[%d]", i)
		text, err := l.text(field, d)
		switch {
		case err != nil:
			return nil, err
		case len(text) != ticketKeyBytes: // Envoy's text (server_context_config_impl.cc)
			return nil, badField(field, "incorrect TLS session ticket key length: %d bytes, expected %d", len(text), ticketKeyBytes)
		}
		t.Keys = append(t.Keys, Hide(string(text)))
	}
	return t, nil
}

func (l *loading) generic(all map[string]Data) (map[string]Hidden, error) {
	out := make(map[string]Hidden, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		field := "secret"
		if name != "" {
			field = fmt.Sprintf("secrets[%q]", name)
		}
		text, err := l.text(field, all[name])
		if err != nil {
			return nil, err
		}
		out[name] = Hide(string(text))
	}
	return out, nil
}
