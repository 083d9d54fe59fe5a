package outcome

// docs/errors.md, printed from the table:
//
//	go test ./proxy/outcome -run TestErrorsDoc -update

import (
	"strings"
	"testing"
)

const head = `# How requests end

Printed from ` + "`proxy/outcome/table.go`" + ` by ` + "`go test ./proxy/outcome -run TestErrorsDoc -update`" + `.

Whatever goes wrong, the client is told in its own protocol and in words that it already knows: over HTTP those of Envoy,
over memcached those of mcrouter and of memcached itself. *Flag* is what access logs and statistics carry (Envoy's
response flag), *details* is Envoy's ` + "`RESPONSE_CODE_DETAILS`" + `.

- An HTTP reply of attache's own has its text, if it has one, as ` + "`text/plain`" + `. A reply to HEAD has no body.
- "-" under HTTP: no reply is sent. An answer that has begun is cut, never ended as if it were whole.
- A memcached line is followed by the cluster's name in brackets. "-": a command does not meet this. A read that fails can
  be answered as a miss instead, if ` + "`on_failure: MISS`" + ` says so. An answer that has begun is cut: the connection closes.
- A TCP session has no words: its connection closes, and the flag tells why.
- A request that cannot be read as HTTP/1.1 is answered by what is wrong with it (` + "`proxy/codec/http1/error.go`" + `): 400, 431 if
  its head is too large, 501 for an unknown transfer-encoding, 505 for another version; always with DPE and a close.

`

func TestErrorsDoc(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("| when | HTTP | body | flag | details | memcached |\n|---|---|---|---|---|---|\n")
	for _, r := range rows(t) {
		if r.Outcome == OK {
			continue
		}
		cells := []string{r.when, status(r), code(r.HTTPBody()), or(r.Flag()), code(r.Details()), code(r.Memcached())}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	golden(t, doc, b.String())
}

func code(text string) string {
	if text == "" {
		return "-"
	}
	return "`" + strings.ReplaceAll(text, "|", `\|`) + "`"
}
