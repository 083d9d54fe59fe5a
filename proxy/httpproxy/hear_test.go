package httpproxy

import (
	"fmt"
	"io"
	"strings"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/loop"
)

// hearAnswer reads one answer as a strict client: its status, its body, and
// whether it was whole.
func hearAnswer(c *loop.Conn, method string) (status, data string, whole bool) {
	var r http1.Response
	lim := http1.DefaultLimits()
	for {
		n, err := r.Parse(c.Buffered(), http1.LookupMethod([]byte(method)), &lim)
		if err != nil {
			return "bad: " + err.Error(), "", false
		}
		if n > 0 {
			c.Discard(n)
			if r.Status == 100 {
				continue
			}
			break
		}
		if _, err := c.Next(); err != nil {
			return "none", "", false
		}
	}
	status = fmt.Sprint(r.Status)
	var b body
	b.reset(r.Body, r.ContentLength)
	var text strings.Builder
	for !b.done {
		p, n, err := b.next(c.Buffered(), &lim)
		if err != nil {
			return status, text.String(), false
		}
		text.Write(p)
		c.Discard(n)
		if b.done {
			break
		}
		if n == 0 || c.Pending() == 0 {
			if _, err := c.Next(); err != nil {
				return status, text.String(), b.kind == http1.BodyUntilClose && err == io.EOF
			}
		}
	}
	return status, text.String(), true
}
