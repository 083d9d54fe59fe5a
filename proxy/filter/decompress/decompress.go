// Package decompress is the filter that decompresses bodies
// (Envoy source/extensions/filters/http/decompressor/decompressor_filter.cc).
//
//	content-encoding: gzip, x ─▶ bytes of gzip ─▶ bytes ─▶ content-encoding: x
//	                                  │             └─ how many of both: two trailers
//	                                  └─ no such bytes, or too few for what they become: the message is refused
//
// Not as Envoy: it cuts off a body that is not what it says and gives out the rest as
// if it were whole. Here such a request is answered 400, such an answer is cut short.
package decompress

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg              *config.Decompressor
	prefix           string
	compressed, size string   // the trailers' names
	dictionaries     [][]byte // shared by all readers, which only read them
	local            filter.PerWorker[local]
}

// local is what a worker has: counters, and readers for later.
type local struct {
	request, response direction
	broken            faults
	free              []reader
}

type direction struct{ decompressed, not, in, out uint64 }

// faults are why bodies were not decompressed to their end. Other is of data that
// is not of the encoding.
type faults struct{ other, ratio, redundant, checksum, memory, dictionary uint64 }

// New compiles it.
func New(cfg *config.Decompressor, env filter.Env) *Filter {
	library := cfg.Encoding
	if library == "br" {
		library = "brotli"
	}
	trailer := "x-envoy-decompressor-" + strings.ToLower(cfg.Name)
	f := &Filter{
		cfg: cfg, local: filter.NewPerWorker[local](env.Workers),
		prefix:     env.Prefix + "decompressor." + cfg.Name + "." + library + ".",
		compressed: trailer + "-compressed-bytes", size: trailer + "-uncompressed-bytes",
	}
	for _, d := range cfg.Dictionaries {
		f.dictionaries = append(f.dictionaries, []byte(d))
	}
	return f
}

// Serve decompresses the request and its answer.
func (f *Filter) Serve(r *filter.Request) {
	l := f.local.On(r.Worker)
	if f.cfg.Advertise && !f.cfg.Response.Disabled {
		f.advertise(r.Headers)
	}
	if b := r.Body(); b != nil && !r.Upgrade && f.takes(&f.cfg.Request, r.Headers, &l.request) {
		r.SetBody(f.read(r, l, b, r.Trailers, &l.request, true), filter.Unknown)
	}
	if !r.Next() {
		return
	}
	if b := r.AnswerBody(); b != nil && !r.Upgrade && f.takes(&f.cfg.Response, r.AnswerHeaders, &l.response) {
		r.SetAnswerBody(f.read(r, l, b, r.AnswerTrailers, &l.response, false), filter.Unknown)
	}
}

// takes decides whether a body is decompressed, and takes the encoding out of the
// head if it is: the first of content-encoding has to be the filter's.
func (f *Filter) takes(d *config.DecompressDirection, h filter.Fields, n *direction) bool {
	all, _ := h.Joined("content-encoding")
	first, rest, more := bytes.Cut(all, []byte{','})
	if d.Disabled || !strings.EqualFold(string(bytes.TrimSpace(first)), f.cfg.Encoding) || !d.NoTransform && noTransform(h) {
		n.not++
		return false
	}
	n.decompressed++
	h.Remove("content-length")
	if more {
		h.Put("content-encoding", bytes.TrimSpace(rest))
	} else {
		h.Remove("content-encoding")
	}
	return true
}

func noTransform(h filter.Fields) bool {
	v, _ := h.Joined("cache-control")
	for token := range strings.SplitSeq(string(v), ",") {
		if strings.EqualFold(strings.TrimSpace(token), "no-transform") {
			return true
		}
	}
	return false
}

// advertise adds the encoding to what the client takes, as the one liked best
// (HeaderUtility::addEncodingToAcceptEncoding).
func (f *Filter) advertise(h filter.Fields) {
	accepted, _ := h.Joined("accept-encoding")
	var all []string
	for token := range strings.SplitSeq(string(accepted), ",") {
		token = strings.TrimSpace(token)
		name, _, _ := strings.Cut(token, ";")
		if token != "" && strings.TrimSpace(name) != f.cfg.Encoding {
			all = append(all, token)
		}
	}
	h.Set("accept-encoding", strings.Join(append(all, f.cfg.Encoding), ","))
}

// Stats yields the filter's counters; those of the library under zlib's, brotli's
// and zstd's names for them.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	l := f.local.On(w)
	for i, n := range []*direction{&l.request, &l.response} {
		p := f.prefix + []string{"request.", "response."}[i]
		yield(p+"decompressed", n.decompressed)
		yield(p+"not_decompressed", n.not)
		yield(p+"total_compressed_bytes", n.in)
		yield(p+"total_uncompressed_bytes", n.out)
	}
	p, b := f.prefix+"decompressor_library.", &l.broken
	switch f.cfg.Encoding {
	case "gzip":
		yield(p+"zlib_data_error", b.other+b.ratio+b.checksum+b.memory)
	case "br":
		yield(p+"brotli_error", b.other+b.ratio+b.redundant)
		yield(p+"brotli_output_overflow", b.ratio)
		yield(p+"brotli_redundant_input", b.redundant)
	case "zstd":
		yield(p+"zstd_generic_error", b.other+b.ratio)
		yield(p+"zstd_dictionary_error", b.dictionary)
		yield(p+"zstd_checksum_wrong_error", b.checksum)
		yield(p+"zstd_memory_error", b.memory)
	}
}

// report says in the trailers how much it was.
func (f *Filter) report(tail filter.Fields, in, out uint64) {
	tail.Add(f.compressed, strconv.FormatUint(in, 10))
	tail.Add(f.size, strconv.FormatUint(out, 10))
}

// refusal is the answer to a request whose body cannot be decompressed.
func refusal() *filter.Refused {
	return &filter.Refused{Reply: &filter.Reply{Outcome: outcome.BadRequest, Details: "decompressor_bad_body"}}
}
