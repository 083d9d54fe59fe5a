package behaviour

// A host that is an ext_proc service: what it is sent, and what it says, as prototext.

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"

	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

const procPath = "/envoy.service.ext_proc.v3.ExternalProcessor/"

// procPiece is the item "proc TEXT".
func procPiece(text string) (piece, error) {
	p := piece{kind: "proc"}
	if text == "" {
		return p, nil
	}
	m := &procv3.ProcessingResponse{}
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		return p, err
	}
	data, err := proto.Marshal(m)
	p.body = string(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(data))), data...))
	return p, err
}

// message waits until the request has more than so many gRPC messages; false if it
// never will.
func (st *h2stream) message(n int) bool {
	for {
		if len(grpcMessages(st.heads[0].body)) > n {
			return true
		}
		if st.whole || st.broken() {
			return false
		}
		st.changed.Wait(st.w)
	}
}

// grpcMessages are the messages that are whole.
func grpcMessages(body []byte) (all [][]byte) {
	for len(body) >= 5 {
		n := int(binary.BigEndian.Uint32(body[1:]))
		if len(body) < 5+n {
			break
		}
		all = append(all, body[5:5+n])
		body = body[5+n:]
	}
	return all
}

var blanks = regexp.MustCompile(` +`)

// showProc shows messages, one a line.
func showProc(b *strings.Builder, mark string, body []byte) {
	for _, data := range grpcMessages(body) {
		m := &procv3.ProcessingRequest{}
		text := ""
		if err := proto.Unmarshal(data, m); err != nil {
			text = err.Error()
		} else {
			text = blanks.ReplaceAllString(prototext.MarshalOptions{}.Format(m), " ")
		}
		text = strings.ReplaceAll(text, " metadata_context:{}", "")
		fmt.Fprintf(b, "%s   |%s\n", mark, scrub(strings.TrimSpace(text)))
	}
}
