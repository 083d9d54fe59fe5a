package admin

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
)

// HTTP/2 goes its own way with all its bytes, and HTTP/1.1 is served beside it;
// without somebody who wants HTTP/2, it is refused as it always was.
func TestTwoProtocols(t *testing.T) {
	for _, two := range []bool{true, false} {
		_, views := newFake()
		s, err := Listen(loopback(), views, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var h2 net.Listener
		if two {
			h2 = s.HTTP2()
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve() }()
		const hello = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, hello); err != nil {
			t.Fatal(err)
		}
		if two {
			far, err := h2.Accept()
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(hello))
			if _, err := io.ReadFull(far, got); err != nil || string(got) != hello {
				t.Errorf("arrived %q, %v", got, err)
			}
			far.Close()
		} else if got, _ := io.ReadAll(c); len(got) == 0 || string(got[:9]) != "HTTP/1.1 " {
			t.Errorf("answered %q", got)
		}
		c.Close()
		r, err := http.Get("http://" + s.Addr().String() + "/ready")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Errorf("/ready: %s", r.Status)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Errorf("ended: %v", err)
		}
		if two {
			if _, err := h2.Accept(); err == nil {
				t.Error("HTTP/2 is still accepted")
			}
		}
	}
}
