package pool

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/transport"
)

// Why a connection failed is said as Envoy says it, and stands in the answer and
// its details.
func TestFailure(t *testing.T) {
	for _, c := range []struct {
		err       error
		want      string
		inDetails string
	}{
		{nil, "", ""},
		{os.NewSyscallError("connect", syscall.ECONNREFUSED), "delayed connect error: Connection refused", "delayed_connect_error:_Connection_refused"},
		{os.NewSyscallError("connect", syscall.EHOSTUNREACH), "delayed connect error: No route to host", "delayed_connect_error:_No_route_to_host"},
		{os.NewSyscallError("read", syscall.ECONNRESET), "", ""},
		{loop.ErrTimeout, "", ""},
		{ErrOverflow, "", ""},
		{fmt.Errorf("x: %w", &transport.Failure{Reason: "TLS_error:|1:a b:TLS_error_end"}), "TLS_error:|1:a b:TLS_error_end", "TLS_error:|1:a_b:TLS_error_end"},
		{errors.New("x"), "", ""},
	} {
		got := Failure(c.err)
		if got != c.want {
			t.Errorf("%v: %q", c.err, got)
		}
		body, details := Outcome(c.err).Because(got)
		if c.want == "" {
			if body+details != "" {
				t.Errorf("%v: %q, %q", c.err, body, details)
			}
			continue
		}
		if want := "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: " + c.want; body != want {
			t.Errorf("%v: body %q", c.err, body)
		}
		if want := "upstream_reset_before_response_started{remote_connection_failure|" + c.inDetails + "}"; details != want {
			t.Errorf("%v: details %q", c.err, details)
		}
	}
	if body, details := outcome.Timeout.Because("x"); body+details != "" {
		t.Errorf("of another outcome: %q, %q", body, details)
	}
}
