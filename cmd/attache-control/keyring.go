package main

// Where secrets come from: Consul's CA and files. What is secret goes from here
// to the xDS server and nowhere else.

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/attache-mesh/attache/discovery/consul"
	"github.com/attache-mesh/attache/xds/server"
	"github.com/attache-mesh/attache/xds/server/ambassador"
)

// lookAtKeys is how often files of secrets are looked at. They are replaced days
// before they end.
const lookAtKeys = 2 * time.Second

// keyring follows secrets; it is control.Keyring. Any goroutine.
type keyring struct {
	mounts mounts
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu      sync.Mutex
	known   map[ambassador.Secret]*keyState
	changed chan struct{} // closed and replaced when a state changes
}

// keyState is what is known of a secret, without the secret.
type keyState struct {
	since time.Time // of what is in use; zero: nothing yet
	until time.Time // its end
	err   error     // of the last look
}

func newKeyring(m mounts, log *slog.Logger) *keyring {
	k := &keyring{mounts: m, log: log, known: map[ambassador.Secret]*keyState{}, changed: make(chan struct{})}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

// Close stops following; nothing is told after it has returned.
func (k *keyring) Close() {
	k.cancel()
	k.all.Wait()
}

// Follow is control.Keyring's.
func (k *keyring) Follow(s ambassador.Secret, changed func(*server.Resource)) func() {
	ctx, cancel := context.WithCancel(k.ctx)
	done := make(chan struct{})
	k.mu.Lock()
	k.known[s] = &keyState{}
	k.mu.Unlock()
	k.all.Go(func() {
		defer close(done)
		k.follow(ctx, s, &follower{k, s, changed})
	})
	return func() {
		cancel()
		<-done
		k.mu.Lock()
		delete(k.known, s)
		k.mu.Unlock()
	}
}

// follow until ctx is done.
func (k *keyring) follow(ctx context.Context, s ambassador.Secret, f *follower) {
	switch s.Kind {
	case ambassador.Leaf, ambassador.Roots:
		source, ok := k.mounts[s.Service.Source].Source.(*consul.Source)
		if !ok { // the file was checked
			panic("attache-control: " + s.Service.Source + " is no source of Consul's")
		}
		if s.Kind == ambassador.Leaf {
			source.Leaf(ctx, s.Service, func(l consul.Leaf, err error) { f.take(l.Chain, l.Key.Reveal(), l.NotAfter, err) })
		} else {
			source.Roots(ctx, func(r consul.Roots, err error) { f.take(r.PEM, "", r.NotAfter, err) })
		}
	default:
		f.files(ctx)
	}
}

// follower tells of one secret.
type follower struct {
	ring    *keyring
	secret  ambassador.Secret
	changed func(*server.Resource)
}

// take has a new content, or why there is none: then the last one stays.
func (f *follower) take(chain, key string, until time.Time, err error) {
	var r *server.Resource
	if err == nil {
		r, err = f.secret.Encode(chain, key)
	}
	k := f.ring
	k.mu.Lock()
	if state := k.known[f.secret]; state != nil {
		if err != nil && state.err == nil {
			k.log.Warn("secret is not renewed; the last one stays", "secret", f.secret.String(), "error", err)
		}
		if state.err = err; err == nil {
			state.since, state.until = time.Now(), until
			k.log.Info("secret renewed", "secret", f.secret.String(), "until", until)
		}
	}
	close(k.changed)
	k.changed = make(chan struct{})
	k.mu.Unlock()
	if err == nil {
		f.changed(r)
	}
}

// files looks at the secret's files until ctx is done.
func (f *follower) files(ctx context.Context) {
	look := time.NewTicker(lookAtKeys)
	defer look.Stop()
	var last []byte
	var failed string
	for {
		chain, key, until, err := readKeys(f.secret)
		switch content := append(append([]byte{}, chain...), key...); {
		case err != nil && err.Error() == failed:
		case err != nil:
			failed = err.Error()
			f.take("", "", time.Time{}, err)
		case failed != "" || !bytes.Equal(content, last):
			failed, last = "", content
			f.take(string(chain), string(key), until, nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// readKeys reads and checks the files of a secret; until is the first end of its
// certificates.
func readKeys(s ambassador.Secret) (chain, key []byte, until time.Time, err error) {
	if s.Kind == ambassador.Authorities {
		if chain, err = readBounded(s.CA); err != nil {
			return nil, nil, until, err
		}
		if !x509.NewCertPool().AppendCertsFromPEM(chain) {
			return nil, nil, until, fmt.Errorf("%s: no certificate in it", s.CA)
		}
		return chain, nil, until, nil
	}
	if chain, err = readBounded(s.Certificate); err != nil {
		return nil, nil, until, err
	}
	if key, err = readBounded(s.Key); err != nil {
		return nil, nil, until, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, nil, until, fmt.Errorf("%s and %s: %w", s.Certificate, s.Key, err)
	}
	if !time.Now().Before(pair.Leaf.NotAfter) {
		return nil, nil, until, errors.New(s.Certificate + ": ended at " + pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return chain, key, pair.Leaf.NotAfter, nil
}

// synced waits until each secret has come once, or failed.
func (k *keyring) synced(ctx context.Context) error {
	for {
		k.mu.Lock()
		var missing ambassador.Secret
		waits := false
		for s, state := range k.known {
			if state.since.IsZero() && state.err == nil {
				missing, waits = s, true
			}
		}
		changed := k.changed
		k.mu.Unlock()
		if !waits {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("secret %s: %w", missing, ctx.Err())
		}
	}
}

// secretStatus is what /status says of a secret.
type secretStatus struct {
	Name  string     `json:"name"`
	State string     `json:"state"` // waiting, good, failing
	Since *time.Time `json:"since,omitempty"`
	Until *time.Time `json:"until,omitempty"`
	Error string     `json:"error,omitempty"`
}

func (k *keyring) status() (all []secretStatus) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for s, state := range k.known {
		one := secretStatus{Name: s.String(), State: "good", Since: given(state.since), Until: given(state.until)}
		switch {
		case state.err != nil:
			one.State, one.Error = "failing", state.err.Error()
		case state.since.IsZero():
			one.State = "waiting"
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b secretStatus) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
