package behaviour

// A client that speaks no HTTP: "tcp", or "tcp NAME" for a connection that stays
// open, and below it
//
//	to 10001            to the listener of that port; else the first one
//	say TEXT            sends a text; line TEXT one with CR LF behind it, hex DIGITS bytes
//	again 20 hex DIGITS the same so often, at once
//	hello NAME          sends a TLS ClientHello that asks for a name
//	wait 2s             lets time pass
//	end                 ends its side
//	stay                does not close when the other side has ended its own
//	close               closes
//
// Shown is what was heard by the end of it, and whether the other side has closed
// the connection. One without a name that is still open a second later is closed.

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// talker is a client's connection.
type talker struct {
	w     *world
	c     *loop.Conn
	heard []byte
	end   string // how the other side has ended it
	ended time.Duration
	stays bool
}

// Ready keeps what comes.
func (k *talker) Ready(c *loop.Conn) {
	for {
		n, err := c.Fill()
		k.heard = append(k.heard, c.Buffered()...)
		c.Discard(c.Pending())
		if err == io.EOF && k.stays {
			k.end, k.ended = "half closed", k.w.sim.Now()
			return
		}
		if err != nil {
			k.end, k.ended = "reset", k.w.sim.Now()
			if err == io.EOF {
				k.end = "closed"
			}
			c.Close()
			return
		}
		if n == 0 {
			return
		}
	}
}

func (k *talker) Expired(*loop.Conn) {}
func (k *talker) Closed(*loop.Conn)  {}

// talk is the step.
func (w *world) talk(name string, args []string) (string, error) {
	at, began := w.door(), w.sim.Now()
	if len(args) > 0 && strings.HasPrefix(args[0], "to ") {
		n, err := strconv.ParseUint(args[0][3:], 10, 16)
		if err != nil {
			return "", err
		}
		at, args = config.Address{IP: w.address(uint16(n))}, args[1:]
	}
	var err error
	k, done := w.talkers[name], false
	w.client.Post(func() {
		w.client.Go(func() {
			defer func() { done = true }()
			if k == nil || name == "" {
				k = &talker{w: w}
				if k.c, err = w.client.Dial(at, 5*time.Second, config.Keepalive{}); err != nil {
					k.end, err = err.Error(), nil
					return
				}
				k.c.Serve(k, true)
			}
			err = k.say(args)
			if name == "" && err == nil {
				k.rest()
			}
		})
	})
	if late := w.drive(func() bool { return done }, patience); late != nil {
		return "", late
	}
	if name != "" {
		w.talkers[name] = k
	}
	took := w.sim.Now() - began
	if k.ended > began {
		took = k.ended - began
	}
	if err == nil {
		err = w.settle(10 * time.Millisecond)
	}
	return w.hostsSaw() + k.show(took), err
}

func (k *talker) say(args []string) error {
	for _, arg := range args {
		word, rest, _ := strings.Cut(arg, " ")
		switch word {
		case "say":
			_, _ = k.c.Write([]byte(rest))
		case "line":
			_, _ = k.c.Write([]byte(rest + "\r\n"))
		case "hex":
			data, err := bodyOf(word, rest)
			if err != nil {
				return err
			}
			_, _ = k.c.Write([]byte(data))
		case "again":
			number, rest, _ := strings.Cut(rest, " hex ")
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 || n > maxTimes {
				return fmt.Errorf("again wants a number of 1 to %d, not %q", maxTimes, number)
			}
			data, err := bodyOf("hex", rest)
			if err != nil {
				return err
			}
			_, _ = k.c.Write([]byte(strings.Repeat(data, n)))
		case "hello":
			_, _ = k.c.Write(clientHello(rest))
		case "wait":
			d, err := time.ParseDuration(rest)
			if err != nil {
				return err
			}
			k.w.client.Sleep(d)
		case "stay":
			k.stays = true
		case "end":
			k.c.CloseWrite()
		case "close":
			_ = k.c.Close()
		default:
			return fmt.Errorf("a TCP client cannot %q", arg)
		}
	}
	k.w.client.Sleep(time.Millisecond)
	return nil
}

// rest waits a second for the other side's end.
func (k *talker) rest() {
	for range 10 {
		if k.end != "" {
			return
		}
		k.w.client.Sleep(100 * time.Millisecond)
	}
	_ = k.c.Close()
}

func (k *talker) show(took time.Duration) string {
	end := k.end
	if end == "" {
		end = "open"
	} else {
		end += strings.Replace(strings.Trim(after(took), " ()"), "after", " after", 1)
	}
	m := &message{start: "tcp (" + end + ")", body: k.heard}
	k.heard = nil
	return show("<", "", m, 0)
}

// clientHello is how Go's client begins.
func clientHello(name string) []byte {
	for {
		t := &tape{}
		_ = tls.Client(t, &tls.Config{ServerName: name}).Handshake()
		// Its keys are random; one with an empty line in them a host would take for a request.
		if !bytes.Contains(t.said, []byte("\n\n")) && !bytes.Contains(t.said, []byte("\n\r\n")) {
			return t.said
		}
	}
}

// tape keeps what is written, and has nothing to say.
type tape struct {
	net.Conn
	said []byte
}

func (t *tape) Write(p []byte) (int, error) {
	t.said = append(t.said, p...)
	return len(p), nil
}

func (*tape) Read([]byte) (int, error) { return 0, io.EOF }
