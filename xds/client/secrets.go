package client

// Secrets: those that stand in contexts, static ones and those of SDS, read, and
// read again when their files change. A secret that turns bad stays what it was.
//
//	contexts ── name ──▶ held ◀── spec ── SDS, the bootstrap, the context itself
//	                      │ ▲
//	                      ▼ │ files that changed (secretfile)
//	                 Resources.Secrets

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/secretfile"
)

// held is a secret that something names and that is known.
type held struct {
	spec   *config.SecretSpec
	secret *config.Secret // the last good one; nil if there was none
	failed string         // why it is not what its files say; "" if it is
	// rotations counts the times that it changed, failures those that it could not.
	rotations, failures uint64
}

// The world of secrets goes by key, as the same name may come from two sources:
// envoyv3.SourceKey and the name. On the wire they have their names.

// keyOf is the key of a secret that f calls name; other kinds go by name.
func (f *feed) keyOf(k kind, name string) string {
	if k != sds || name == "" {
		return name
	}
	return f.prefix + name
}

// wireName is what the source calls the resource that is known by key.
func wireName(k kind, key string) string {
	if k != sds {
		return key
	}
	if name, found := strings.CutPrefix(key, "ads/"); found {
		return name
	}
	parts := strings.SplitN(key, "/", 3) // kind of source, its hash, the name
	return parts[len(parts)-1]
}

// keyLike is the key of name at the source of another key.
func keyLike(key, name string) string {
	return strings.TrimSuffix(key, wireName(sds, key)) + name
}

// addSecret collects a secret that a context names.
func (n *naming) addSecret(c *Client, r *config.SecretRef) {
	spec := r.Own
	switch {
	case r.Source.Kind != config.SourceInline:
		n.add(sds, r.Key, &r.Source)
		return
	case spec == nil:
		spec = c.staticSecrets[r.Key]
	}
	if spec == nil { // Assemble refuses whoever names it
		return
	}
	if n.own == nil {
		n.own = map[string]*config.SecretSpec{}
	}
	if n.own[r.Key] == nil {
		n.own[r.Key] = spec
	}
}

// hold brings what is held to what is named and known now.
func (c *Client) hold(ctx context.Context, n *naming) {
	wanted := maps.Clone(n.own)
	if wanted == nil {
		wanted = map[string]*config.SecretSpec{}
	}
	for key, e := range c.world[sds].entries {
		if e.now != nil {
			wanted[key] = e.now.value.(*config.SecretSpec)
		}
	}
	changed := false
	for key := range c.held {
		if wanted[key] == nil {
			delete(c.held, key)
			changed, c.dirty = true, true
		}
	}
	for key, spec := range wanted {
		h := c.held[key]
		switch {
		case h == nil:
			h = &held{}
			c.held[key] = h
		case h.spec == spec || n.own[key] != nil: // one key of one's own is one content
			continue
		}
		h.spec, changed = spec, true
		s, err := spec.Load(key, secretfile.Read)
		c.heard(h, s, err)
	}
	if changed {
		c.watchSecrets(ctx)
	}
}

// heard takes what a secret is now, or why it cannot be read.
func (c *Client) heard(h *held, s *config.Secret, err error) {
	switch {
	case err != nil:
		h.failed = err.Error()
		h.failures++
		c.log.Warn("xds: a secret cannot be read; what it was before stays", "secret", h.spec.Name, "error", err)
	case h.secret == nil || !h.secret.Equal(s):
		h.failed = ""
		if h.secret != nil {
			h.rotations++
			c.log.Info("xds: a secret has changed", "secret", h.spec.Name, "kind", s.Kind(), "hash", s.Hash())
		}
		h.secret, c.dirty = s, true
	default:
		h.failed = ""
	}
}

// watchSecrets says which files are to be followed.
func (c *Client) watchSecrets(ctx context.Context) {
	all := map[string]*config.SecretSpec{}
	for key, h := range c.held {
		if len(h.spec.Files()) > 0 {
			all[key] = h.spec
		}
	}
	if c.files == nil && len(all) > 0 {
		c.followFiles(ctx)
	}
	if c.files != nil {
		c.files.Set(all)
	}
}

// followFiles runs the watcher of secrets' files, once there are any.
func (c *Client) followFiles(ctx context.Context) {
	c.files = secretfile.New(func(key string, spec *config.SecretSpec, s *config.Secret, err error) {
		c.report(ctx, func(time.Time) {
			if h := c.held[key]; h != nil && h.spec == spec {
				c.heard(h, s, err)
			}
		})
	})
	if c.o.Looks {
		c.running.Go(func() { c.files.Look(ctx) })
		return
	}
	c.running.Go(func() { c.files.Run(ctx) })
}

// secrets lists what is held, and what is given up.
func (c *Client) secrets() (all []*config.Secret) {
	for _, key := range slices.Sorted(maps.Keys(c.held)) {
		if s := c.held[key].secret; s != nil {
			all = append(all, s)
		}
	}
	for _, e := range c.world[sds].sorted() {
		if e.empty != nil && c.held[e.name] == nil {
			all = append(all, e.empty.(*config.Secret))
		}
	}
	return all
}
