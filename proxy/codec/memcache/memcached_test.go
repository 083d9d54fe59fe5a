package memcache

// Does a real memcached answer a client through this codec as it answers
// directly?

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startMemcached runs a memcached of its own for this test and returns a
// connection to it.
func startMemcached(t *testing.T) net.Conn {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	free.Close()
	args := []string{"-l", "127.0.0.1", "-p", port, "-U", "0", "-t", "1", "-m", "256"}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	server := exec.Command("memcached", args...)
	if err := server.Start(); err != nil {
		t.Fatalf("memcached: %v (make test installs it)", err)
	}
	t.Cleanup(func() { server.Process.Kill(); server.Wait() })
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for range 1000 {
		if conn, err := net.Dial("tcp", address); err == nil {
			t.Cleanup(func() { conn.Close() })
			conn.SetDeadline(time.Now().Add(time.Minute))
			return conn
		}
		<-again.C
	}
	t.Fatal("memcached did not listen")
	return nil
}

const marker = "VERSION "

// ask sends bytes and a version behind them, and returns what came before its
// answer.
func ask(t *testing.T, conn net.Conn, request []byte) string {
	t.Helper()
	if _, err := conn.Write(AppendVersionCommand(bytes.Clone(request))); err != nil {
		t.Fatal(err)
	}
	var got []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := conn.Read(chunk)
		if got = append(got, chunk[:n]...); bytes.HasSuffix(got, []byte(crlf)) {
			if i := bytes.LastIndex(got, []byte(marker)); i >= 0 && bytes.Count(got[i:], []byte(crlf)) == 1 {
				return string(got[:i])
			}
		}
		if err != nil {
			t.Fatalf("%.80q: %v after %q", request, err, got)
		}
	}
}

// through sends a client's bytes through the codec: parse, write anew, await
// and read every reply, drop those of noreply.
func through(t *testing.T, conn net.Conn, request []byte) string {
	t.Helper()
	limits := DefaultLimits()
	p := NewParser(&limits)
	var c Command
	var out []byte
	for len(request) > 0 {
		n, ev := p.Next(request, &c)
		request = request[n:]
		switch ev {
		case More:
			return string(out)
		case Refused:
			if !c.Refusal.Silent {
				out = append(out, c.Refusal.Reply...)
			}
		case Ready:
			wire := AppendCommand(nil, &c, c.Key, true)
			if c.Op.IsRetrieval() {
				wire = AppendWord(AppendRetrieval(nil, c.Op, c.Exptime), c.Key)
				for key, rest := NextKey(c.Rest); key != nil; key, rest = NextKey(rest) {
					wire = AppendWord(wire, key)
				}
				wire = AppendCRLF(wire)
			}
			if reply := answer(t, conn, &limits, &c, wire); !c.NoReply {
				out = append(out, reply...)
			}
		default:
			t.Fatalf("event %d", ev)
		}
	}
	return string(out)
}

// answer sends one command and reads exactly its reply.
func answer(t *testing.T, conn net.Conn, limits *Limits, c *Command, wire []byte) (reply []byte) {
	t.Helper()
	if _, err := conn.Write(wire); err != nil {
		t.Fatal(err)
	}
	var asked []byte
	if c.NumKeys == 1 {
		asked = c.Key
	}
	p := NewReplyParser(limits)
	var buf []byte
	chunk := make([]byte, 64<<10)
	for {
		var r Reply
		n, ev := p.Next(buf, c.Op, asked, &r)
		reply = append(reply, buf[:n]...)
		buf = buf[n:]
		switch ev {
		case ReplyLine, ReplyEnd:
			if len(buf) > 0 {
				t.Fatalf("%.80q: %q is left over", wire, buf)
			}
			return reply
		case ReplyBad:
			t.Fatalf("%.80q: %s in %.80q", wire, r.Why, buf)
		case ReplyMore:
			n, err := conn.Read(chunk)
			if err != nil {
				t.Fatalf("%.80q: %v", wire, err)
			}
			buf = append(bytes.Clone(buf), chunk[:n]...)
		}
	}
}

func TestMemcachedAnswersAsDirectly(t *testing.T) {
	direct, proxied := startMemcached(t), startMemcached(t)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		request := []byte(randomCommand(r))
		if i == 0 {
			request = []byte("set empty 0 0 0\r\n\r\ngets empty none empty\r\n")
		}
		want := ask(t, direct, request)
		if got := through(t, proxied, request); got != want {
			t.Fatalf("command %d, %.80q: %.200q, directly %.200q", i, request, got, want)
		}
	}
}

// randomCommand writes a command that memcached answers once: all that are
// accepted, and the refusals in which memcached keeps its framing.
func randomCommand(r *rand.Rand) string {
	one := func(words ...string) string { return words[r.IntN(len(words))] }
	key := func() string { return one("a", "b", "n", "é", strings.Repeat("k", 250)) }
	noreply := func() string { return one("", "", " noreply", " other") }
	end := one("\r\n", "\r\n", "\n")
	// No value is empty or begins with white space: incr of such a one makes
	// memcached 1.6.18 read on into whatever lies behind the item.
	data := one("1", "10", "x", "y\r\n", "END\r\n", "8", strings.Repeat("v", r.IntN(3000)), strings.Repeat("v", 1+r.IntN(100000)))
	switch r.IntN(10) {
	case 0, 1, 2:
		op := one("set", "set", "add", "replace", "append", "prepend")
		return fmt.Sprintf("%s %s %d %s %d%s%s%s\r\n", op, key(), r.Uint32(), one("0", "0", "100", "-1"), len(data), noreply(), end, data)
	case 3:
		return fmt.Sprintf("cas %s 1 0 %d %d%s%s%s\r\n", key(), len(data), r.IntN(5000), noreply(), end, data)
	case 4:
		return one("get", "gets") + strings.Repeat(" "+key(), 1+r.IntN(3)) + one("", " ") + end
	case 5:
		return fmt.Sprintf("%s %s %s %s%s", one("gat", "gats"), one("0", "100"), key(), key(), end)
	case 6:
		// No number gets shorter: whether it is then padded with spaces depends on
		// who else holds the item just then.
		return fmt.Sprintf("%s%s%s", one("decr "+key()+" 0", "incr "+key()+" "+strconv.Itoa(r.IntN(1000))), noreply(), end)
	case 7:
		return fmt.Sprintf("touch %s %s%s%s", key(), one("0", "100", "-1"), noreply(), end)
	case 8:
		return fmt.Sprintf("delete %s%s%s", key(), one("", " 0", " noreply", " 0 noreply", " 1", " x"), end)
	}
	return one("get", "incr a", "incr a x", "incr a -1 noreply", "touch a x", "touch a", "gat x a", "gat", "get a "+strings.Repeat("k", 251),
		"delete", "nonsense", "GET a", "", "verbosity", "verbosity x", "verbosity 0", "delete "+strings.Repeat("k", 251), "incr "+strings.Repeat("k", 251)+" 1") + end
}

// TestMemcachedStillSpeaksSo keeps the package comment true: what memcached
// itself says where the codec refuses in its words.
func TestMemcachedStillSpeaksSo(t *testing.T) {
	conn := startMemcached(t)
	for _, tc := range []struct{ in, want string }{
		{"set {k*251} 0 0 2\nhi", LineBadFormat + LineError}, // two answers: here it is one
		{"set a 0 0 -1", LineBadFormat},
		{"set a 0 0 2147483648", LineBadFormat},
		{"set a 0 0 2097152\n{z*2097152}", LineTooLarge},
		{"set a 0 0 2097152 noreply\n{z*2097152}", ""},
		{"set a x 0 2 noreply\nhi", LineError}, // an answer to noreply: here there is none
		{"set a 0 0 2\nhixx", LineBadChunk + LineError},
		{"incr a x", LineBadDelta},
		{"touch a x", LineBadExptime},
		{"delete a 1", LineDeleteUsage},
	} {
		if got := ask(t, conn, wire(t, tc.in+"\n")); got != tc.want {
			t.Errorf("%.40q: %q, want %q", tc.in, got, tc.want)
		}
	}
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
		t.Errorf("an HTTP request: %q, %v; want a close", rest, err)
	}
}
