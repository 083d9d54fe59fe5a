// Package compress is the filter that compresses bodies
// (Envoy source/extensions/filters/http/compressor/compressor_filter.cc).
package compress

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Group are the compressors of one chain, in order: which of them compresses is
// decided among all. It is filled while the chain is made.
type Group struct{ all []*Filter }

// Filter is the filter of one chain.
type Filter struct {
	cfg    *config.Compressor
	how    library
	group  *Group
	prefix string
	local  filter.PerWorker[local]
}

// local is what a worker has: counters, and writers for later.
type local struct {
	request, response                                               counters
	noAccept, identity, used, overshadowed, wildcard, invalid, etag uint64
	free                                                            map[key][]writer
}

type counters struct{ compressed, not, tooSmall, in, out uint64 }

// New compiles it and adds it to the group.
func New(cfg *config.Compressor, env filter.Env, group *Group) *Filter {
	f := &Filter{
		cfg: cfg, how: libraryOf(&cfg.Compression), group: group, local: filter.NewPerWorker[local](env.Workers),
		prefix: env.Prefix + "compressor." + cfg.Name + "." + libraryPrefix(cfg.Encoding) + ".",
	}
	group.all = append(group.all, f)
	return f
}

// libraryPrefix is what a library calls its statistics.
func libraryPrefix(encoding string) string {
	if encoding == "br" {
		return "brotli"
	}
	return encoding
}

// own is what a route says of it.
type own struct {
	*config.CompressorRoute
	how library // unless Compression is nil
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	c, ok := cfg.(*config.CompressorRoute)
	if !ok {
		return nil
	}
	o := &own{CompressorRoute: c}
	if c.Compression != nil {
		o.how = libraryOf(c.Compression)
	}
	return o
}

// Serve compresses the request, if it is told to, and the answer, if the client
// takes it.
func (f *Filter) Serve(r *filter.Request) {
	own, _ := r.Own().(*own)
	how, enabled, remove := f.how, f.cfg.Response != nil && !f.cfg.Response.Disabled, f.cfg.RemoveAccept
	if own != nil {
		enabled = (enabled || own.Enabled) && !own.Disabled
		if own.RemoveAccept != nil {
			remove = *own.RemoveAccept
		}
		if own.Compression != nil {
			how = own.how
		}
	}
	accept, accepts := r.Headers.Joined("accept-encoding")
	if enabled && remove {
		r.Headers.Remove("accept-encoding")
	}
	l := f.local.On(r.Worker)
	f.request(r, l)
	if !r.Next() {
		return
	}
	f.response(r, l, how, enabled, string(accept), accepts)
}

func (f *Filter) request(r *filter.Request, l *local) {
	d := f.cfg.Request
	b := r.Body()
	if b == nil || d == nil || d.Disabled || r.Upgrade || !l.request.longEnough(d, r.Headers) || !takes(d, r.Headers) ||
		r.Headers.Has("content-encoding") {
		l.request.not++
		return
	}
	r.Headers.Set("content-encoding", f.cfg.Encoding)
	l.request.compressed++
	r.SetBody(start(r, l, f.how, b, &l.request), filter.Unknown)
}

func (f *Filter) response(r *filter.Request, l *local, how library, enabled bool, accept string, accepts bool) {
	h, d, c := r.AnswerHeaders, f.cfg.Response, &l.response
	if d == nil {
		d = &config.CompressDirection{}
	}
	b := r.AnswerBody()
	maybe := enabled && c.longEnough(d, h)
	compressible := maybe && !r.Upgrade && takes(d, h) && !noTransform(h) && !f.stopsAtETag(h, l) &&
		!h.Has("content-encoding") && !slices.Contains(f.cfg.Codes, r.Status)
	if b != nil && maybe && f.chosen(l, how.encoding, accept, accepts, h) && compressible {
		weakenETag(h)
		length, _ := h.Get("content-length")
		h.Set("content-encoding", how.encoding)
		c.compressed++
		if f.cfg.StatusHeader {
			f.status(h, how.encoding, "Compressed", string(length))
		}
		r.SetAnswerBody(start(r, l, how, b, c), filter.Unknown)
	} else {
		c.not++
		if f.cfg.StatusHeader && b != nil && enabled && !r.Upgrade && !noTransform(h) && !h.Has("content-encoding") {
			f.why(r, d, how.encoding)
		}
	}
	if compressible {
		vary(h)
	}
}

// why says in a header why an answer was not compressed.
func (f *Filter) why(r *filter.Request, d *config.CompressDirection, encoding string) {
	h := r.AnswerHeaders
	var none counters
	switch {
	case !none.longEnough(d, h):
		f.status(h, encoding, "ContentLengthTooSmall", "")
	case !takes(d, h):
		f.status(h, encoding, "ContentTypeNotAllowed", "")
	case f.cfg.NoETag && h.Has("etag"):
		f.status(h, encoding, "EtagNotAllowed", "")
	case slices.Contains(f.cfg.Codes, r.Status):
		f.status(h, encoding, "StatusCodeNotAllowed", "")
	}
}

func (f *Filter) status(h filter.Fields, encoding, what, length string) {
	text := encoding + ";" + what
	if length != "" {
		text += ";OriginalLength=" + length
	}
	h.Add("x-envoy-compression-status", text)
}

// longEnough looks at the length, if it is known.
func (c *counters) longEnough(d *config.CompressDirection, h filter.Fields) bool {
	v, ok := h.Get("content-length")
	if !ok {
		return true
	}
	if n, err := strconv.ParseUint(string(v), 10, 64); err == nil && n >= d.MinLength {
		return true
	}
	c.tooSmall++
	return false
}

// takes looks at the content type.
func takes(d *config.CompressDirection, h filter.Fields) bool {
	v, ok := h.Get("content-type")
	if !ok || len(d.Types) == 0 {
		return true
	}
	kind, _, _ := bytes.Cut(v, []byte{';'})
	return slices.Contains(d.Types, string(bytes.TrimSpace(kind)))
}

func noTransform(h filter.Fields) bool {
	v, _ := h.Joined("cache-control")
	return hasToken(string(v), "no-transform")
}

func hasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}

func (f *Filter) stopsAtETag(h filter.Fields, l *local) bool {
	if !f.cfg.NoETag || !h.Has("etag") {
		return false
	}
	l.etag++
	return true
}

// weakenETag takes a strong etag out: it is that of other bytes.
func weakenETag(h filter.Fields) {
	if v, ok := h.Get("etag"); ok && len(v) > 2 && !((v[0] == 'w' || v[0] == 'W') && v[1] == '/') {
		h.Remove("etag")
	}
}

// vary tells caches that the answer depends on accept-encoding.
func vary(h filter.Fields) {
	v, ok := h.Joined("vary")
	switch {
	case !ok:
		h.Set("vary", "Accept-Encoding")
	case !hasToken(string(v), "accept-encoding"):
		h.Set("vary", string(v)+", Accept-Encoding")
	}
}

// Stats yields the filter's counters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	l, p := f.local.On(w), f.prefix
	yield(p+"no_accept_header", l.noAccept)
	yield(p+"header_identity", l.identity)
	yield(p+"header_compressor_used", l.used)
	yield(p+"header_compressor_overshadowed", l.overshadowed)
	yield(p+"header_wildcard", l.wildcard)
	yield(p+"header_not_valid", l.invalid)
	yield(p+"not_compressed_etag", l.etag)
	for i, c := range []*counters{&l.request, &l.response} {
		d := []string{"request.", "response."}[i]
		yield(p+d+"compressed", c.compressed)
		yield(p+d+"not_compressed", c.not)
		yield(p+d+"content_length_too_small", c.tooSmall)
		yield(p+d+"total_uncompressed_bytes", c.in)
		yield(p+d+"total_compressed_bytes", c.out)
	}
}

// reading is a body that is compressed as it is read.
type reading struct {
	of  filter.Body
	how library
	l   *local
	c   *counters
	w   writer
	out bytes.Buffer
}

func start(r *filter.Request, l *local, how library, b filter.Body, c *counters) *reading {
	z := &reading{of: b, how: how, l: l, c: c}
	z.w = l.writer(how, &z.out)
	r.Defer(z)
	return z
}

// Next compresses the next piece, and flushes it: who reads does not wait for more
// than what came.
func (z *reading) Next() (piece []byte, last bool, err error) {
	z.out.Reset()
	for {
		p, last, err := z.of.Next()
		if err != nil {
			return nil, false, err
		}
		z.c.in += uint64(len(p))
		if _, err = z.w.Write(p); err == nil && last {
			err = z.w.Close()
		} else if err == nil {
			err = z.w.Flush()
		}
		if err != nil {
			return nil, false, err
		}
		if z.out.Len() > 0 || last {
			z.c.out += uint64(z.out.Len())
			return z.out.Bytes(), last, nil
		}
	}
}

// maxFree bounds the writers of a kind that a worker keeps for later.
const maxFree = 16

// End gives the writer back.
func (z *reading) End(*filter.Request, outcome.Outcome) {
	if list := z.l.free[z.how.key]; len(list) < maxFree {
		z.l.free[z.how.key] = append(list, z.w)
	}
}
