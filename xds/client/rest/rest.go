// Package rest polls a control plane by HTTP (Envoy's api_type REST): a
// DiscoveryRequest in JSON, a DiscoveryResponse in JSON, a pause, and again.
//
//	Due ─▶ request ─▶ POST /v3/discovery:… ─▶ Answered, Unreadable or Failed ─▶ pause
//
// It does not know what the resources mean.
package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// MaxAnswer is the longest body of an answer that is read, in bytes: what load takes.
const MaxAnswer = load.MaxSize

// Options say what is polled and how often. All have to be set.
type Options struct {
	Plane *Plane
	// Path is that of the type, "/v3/discovery:clusters" say.
	Path string
	Poll config.Poll
}

// Handler hears of polls, from the goroutine of Run, one call at a time.
type Handler interface {
	// Due: a request is to be sent. ask takes it, once, without waiting; until then
	// nothing is sent.
	Due(ask func(*discoveryv3.DiscoveryRequest))
	// Answered: the server has answered; nil: with 304, nothing is new.
	Answered(server string, a *Answer)
	// Unreadable: the server has answered with what is no DiscoveryResponse.
	Unreadable(server string, err error)
	// Failed: there is no answer, or one with another status than 200 and 304. err
	// names the server.
	Failed(err error)
}

// Run polls until ctx is done: at once, and then after each answer or failure a
// refresh_delay later and up to as much again (rest_api_fetcher.cc, requestComplete).
func Run(ctx context.Context, o Options, h Handler) {
	for {
		asked := make(chan *discoveryv3.DiscoveryRequest, 1)
		h.Due(func(r *discoveryv3.DiscoveryRequest) { asked <- r })
		select {
		case r := <-asked:
			o.once(ctx, r, h)
		case <-ctx.Done():
			return
		}
		pause := time.NewTimer(o.Poll.Delay + rand.N(o.Poll.Delay))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// once sends one request and reports what becomes of it, but for its being given up.
func (o *Options) once(ctx context.Context, r *discoveryv3.DiscoveryRequest, h Handler) {
	limited, cancel := context.WithTimeoutCause(ctx, o.Poll.Timeout, fmt.Errorf("no whole answer in %s", o.Poll.Timeout))
	defer cancel()
	server, a, err := o.fetch(limited, r)
	var unreadable *unreadableError
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &unreadable):
		h.Unreadable(server, unreadable)
	case err != nil:
		if cause := context.Cause(limited); cause != nil {
			err = cause
		}
		h.Failed(fmt.Errorf("%s%s: %w", server, o.Path, err))
	default:
		h.Answered(server, a)
	}
}

// unreadableError is about the content of an answer.
type unreadableError struct{ error }

// fetch asks and reads the answer; nil for 304.
func (o *Options) fetch(ctx context.Context, r *discoveryv3.DiscoveryRequest) (server string, a *Answer, err error) {
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r)
	if err != nil {
		return o.Plane.cluster, nil, err
	}
	c, answer, err := o.Plane.post(ctx, o.Path, body)
	if err != nil {
		return c.server, nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		a, err = o.take(ctx, c, answer)
		return c.server, a, err
	case http.StatusNotModified:
		return c.server, nil, nil
	}
	_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // then the connection may be kept
	o.Plane.failed(c.server)
	return c.server, nil, fmt.Errorf("answered with status %d", answer.StatusCode)
}

// take reads what an answer says. What is short is read at once, so that a server that
// stalls does not hold up who asks for something else.
func (o *Options) take(ctx context.Context, c *connection, answer *http.Response) (*Answer, error) {
	if answer.ContentLength > MaxAnswer {
		answer.Body.Close()
		o.Plane.broken(ctx, c)
		return nil, fmt.Errorf("an answer of %d bytes: at most %d are read", answer.ContentLength, MaxAnswer)
	}
	text, err := read(answer, nil, small)
	if err == nil {
		if !o.Plane.alone(ctx) {
			return nil, ctx.Err() // that is not the server's fault
		}
		defer o.Plane.letOthers()
		text, err = read(answer, text, MaxAnswer+1)
	}
	if err == nil && len(text) > MaxAnswer {
		err = fmt.Errorf("an answer of more than %d bytes", MaxAnswer)
	}
	if err != nil {
		answer.Body.Close()
		o.Plane.broken(ctx, c)
		return nil, err
	}
	a, err := parse(text)
	if err != nil {
		return nil, &unreadableError{err}
	}
	return a, nil
}

// read appends to text what follows of the body, until there are limit bytes.
func read(answer *http.Response, text []byte, limit int) ([]byte, error) {
	b := bytes.NewBuffer(text)
	_, err := b.ReadFrom(io.LimitReader(answer.Body, int64(limit-len(text))))
	return b.Bytes(), err
}
