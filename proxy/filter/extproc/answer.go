package extproc

// What the service says (envoy.service.ext_proc.v3.ProcessingResponse).

import (
	"math"
	"time"

	"github.com/attache-mesh/attache/proxy/callout"
	wire "github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/config"
)

// answer is one message of the service's.
type answer struct {
	to       question
	request  bool // of the request; else of the answer
	metadata map[string]config.Value

	replace    bool // CONTINUE_AND_REPLACE
	clearRoute bool
	changes    *changes // nil: none
	body       *newBody // nil: as it was

	immediate *immediate
	mode      *config.ExtProcMode
	timeout   *time.Duration
}

// changes are a HeaderMutation.
type changes struct {
	set    []setHeader
	remove []string
}

type setHeader struct {
	name, value string
	append      bool
}

// newBody is a BodyMutation.
type newBody struct {
	data     []byte
	clear    bool
	replace  bool // by data
	streamed bool // data is a chunk of a body that goes both ways
	end      bool // the last one
}

// immediate is an answer for the client.
type immediate struct {
	status  int
	changes *changes
	body    string
	details string
	grpc    int // -1: none
}

// Numbers of ProcessingResponse.
const (
	toRequestHeaders = 1 + iota
	toResponseHeaders
	toRequestBody
	toResponseBody
	toRequestTrailers
	toResponseTrailers
	toClient
	dynamicMetadata
	modeOverride
	messageTimeout
)

// parse reads a message; false if it is none.
func parse(msg []byte) (a *answer, ok bool) {
	a, ok = &answer{}, true
	r := wire.Read(msg)
	for ok && r.Next() {
		if r.Type != wire.Bytes {
			continue
		}
		switch r.Number {
		case toRequestHeaders, toResponseHeaders, toRequestBody, toResponseBody:
			a.to, a.request = headers, r.Number == toRequestHeaders || r.Number == toRequestBody
			if r.Number >= toRequestBody {
				a.to = body
			}
			ok = inner(r.Data, 1, a.common)
		case toRequestTrailers, toResponseTrailers:
			a.to, a.request = trailers, r.Number == toRequestTrailers
			ok = inner(r.Data, 1, a.headerMutation)
		case toClient:
			a.immediate, ok = parseImmediate(r.Data)
		case dynamicMetadata:
			a.metadata, ok = callout.ReadStruct(r.Data)
		case modeOverride:
			a.mode, ok = parseMode(r.Data)
		case messageTimeout:
			a.timeout, ok = parseDuration(r.Data)
		}
	}
	return a, ok && r.Err() == nil
}

// inner reads the fields of a number within a message.
func inner(msg []byte, number int, read func([]byte) bool) bool {
	r := wire.Read(msg)
	for r.Next() {
		if r.Number == number && r.Type == wire.Bytes && !read(r.Data) {
			return false
		}
	}
	return r.Err() == nil
}

func (a *answer) common(msg []byte) bool {
	r := wire.Read(msg)
	for r.Next() {
		switch r.Number {
		case 1:
			a.replace = r.Num == 1
		case 2:
			if !a.headerMutation(r.Data) {
				return false
			}
		case 3:
			var ok bool
			if a.body, ok = parseBody(r.Data); !ok {
				return false
			}
		case 5:
			a.clearRoute = r.Num != 0
		}
	}
	return r.Err() == nil
}

func (a *answer) headerMutation(msg []byte) (ok bool) {
	a.changes, ok = parseChanges(msg)
	return ok
}

func parseBody(msg []byte) (*newBody, bool) {
	b := &newBody{}
	r := wire.Read(msg)
	for r.Next() {
		switch r.Number {
		case 1:
			*b = newBody{data: append([]byte(nil), r.Data...), replace: true}
		case 2:
			*b = newBody{clear: r.Num != 0}
		case 3:
			var ok bool
			if b, ok = parseChunk(r.Data); !ok {
				return nil, false
			}
		}
	}
	return b, r.Err() == nil
}

// parseChunk reads a StreamedBodyResponse.
func parseChunk(msg []byte) (*newBody, bool) {
	b := &newBody{streamed: true}
	r := wire.Read(msg)
	for r.Next() {
		switch r.Number {
		case 1:
			b.data = append([]byte(nil), r.Data...)
		case 2:
			b.end = r.Num != 0
		}
	}
	return b, r.Err() == nil
}

func parseChanges(msg []byte) (*changes, bool) {
	c := &changes{}
	r := wire.Read(msg)
	for r.Next() {
		switch r.Number {
		case 1:
			h, named, ok := parseSet(r.Data)
			if !ok {
				return nil, false
			}
			if named {
				c.set = append(c.set, h)
			}
		case 2:
			c.remove = append(c.remove, r.Text())
		}
	}
	return c, r.Err() == nil
}

// parseSet reads a HeaderValueOption. Its value is raw_value; append_action is not
// looked at.
func parseSet(msg []byte) (h setHeader, named, ok bool) {
	r := wire.Read(msg)
	for r.Next() {
		v := wire.Read(r.Data)
		switch r.Number {
		case 1:
			named = true
			for v.Next() {
				switch v.Number {
				case 1:
					h.name = v.Text()
				case 3:
					h.value = v.Text()
				}
			}
		case 2:
			for v.Next() {
				if v.Number == 1 {
					h.append = v.Num != 0
				}
			}
		}
		if v.Err() != nil {
			return h, false, false
		}
	}
	return h, named, r.Err() == nil
}

func parseImmediate(msg []byte) (*immediate, bool) {
	m := &immediate{status: 200, grpc: -1}
	r := wire.Read(msg)
	for r.Next() {
		v := wire.Read(r.Data)
		switch r.Number {
		case 1:
			for v.Next() {
				if v.Number == 1 {
					m.status = int(min(v.Num, math.MaxInt32))
				}
			}
		case 2:
			var ok bool
			if m.changes, ok = parseChanges(r.Data); !ok {
				return nil, false
			}
		case 3:
			m.body = r.Text()
		case 4:
			m.grpc = 0
			for v.Next() {
				if v.Number == 1 {
					m.grpc = int(min(v.Num, math.MaxInt32))
				}
			}
		case 5:
			m.details = r.Text()
		}
		if r.Number == 1 || r.Number == 4 {
			if v.Err() != nil {
				return nil, false
			}
		}
	}
	if m.status < 200 || m.status > 599 {
		m.status = 200
	}
	return m, r.Err() == nil
}

func parseMode(msg []byte) (*config.ExtProcMode, bool) {
	m := &config.ExtProcMode{}
	r := wire.Read(msg)
	for r.Next() {
		head, how := config.HeaderSend(min(r.Num, 2)), config.BodySend(min(r.Num, math.MaxUint8))
		switch r.Number {
		case 1:
			m.RequestHeaders = head
		case 2:
			m.ResponseHeaders = head
		case 3:
			m.RequestBody = how
		case 4:
			m.ResponseBody = how
		case 5:
			m.RequestTrailers = head
		case 6:
			m.ResponseTrailers = head
		}
	}
	return m, r.Err() == nil
}

// parseDuration reads a google.protobuf.Duration; what is none is negative.
func parseDuration(msg []byte) (*time.Duration, bool) {
	var seconds, nanos int64
	r := wire.Read(msg)
	for r.Next() {
		switch r.Number {
		case 1:
			seconds = r.Int()
		case 2:
			nanos = int64(int32(r.Int()))
		}
	}
	d := time.Duration(-1)
	if seconds >= 0 && nanos >= 0 && nanos < 1e9 && seconds < 1<<32 {
		d = time.Duration(seconds*1e9 + nanos)
	}
	return &d, r.Err() == nil
}
