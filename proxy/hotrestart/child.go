package hotrestart

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// patience is how long either waits for a word of the other that is due.
const patience = 5 * time.Second

// Parent is the process before, as the one after it sees it. One goroutine at a time
// but for Figures.
type Parent struct {
	c     conn
	about about
}

// ErrNone says that there is no process to take over from; every other error, that it
// cannot be spoken with.
var ErrNone = errors.New("nobody listens there")

// Dial finds the process that serves name and introduces itself. Errors: ErrNone, or why
// the other is not to be spoken with: it hangs, is another user's, or of another version.
func Dial(name string, epoch int) (*Parent, error) {
	c, err := net.DialTimeout("unixpacket", name, patience)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	p := &Parent{c: conn{c.(*net.UnixConn)}}
	if err := p.introduce(epoch); err != nil {
		c.Close()
		return nil, err
	}
	return p, nil
}

func (p *Parent) introduce(epoch int) error {
	if err := p.c.sameUser(); err != nil {
		return err
	}
	if err := p.c.send(hello, about{Epoch: epoch, PID: os.Getpid()}, nil, patience); err != nil {
		return err
	}
	text, fds, err := p.expect(hello)
	if err != nil {
		return err
	}
	closeAll(fds)
	return json.Unmarshal(text, &p.about)
}

// expect takes the next message, which must be of a kind.
func (p *Parent) expect(want kind) ([]byte, []int, error) {
	k, text, fds, err := p.c.receive(patience)
	if err == nil && k != want {
		closeAll(fds)
		return nil, nil, fmt.Errorf("it sent a message %d where %d was due", k, want)
	}
	return text, fds, err
}

// PID is that of the process before.
func (p *Parent) PID() int { return p.about.PID }

// Started is when the first process of the line did.
func (p *Parent) Started() time.Time { return p.about.Started }

// Generation is how many processes there were, the one before included.
func (p *Parent) Generation() int { return p.about.Generation }

// Admin is the address of its admin server as it was configured; "" if it has none.
func (p *Parent) Admin() string { return p.about.Admin }

// Sockets has it give its listening sockets away, and calls take with each, whose file
// descriptors are take's.
func (p *Parent) Sockets(take func(key string, fds []int)) error {
	if err := p.c.send(sockets, struct{}{}, nil, patience); err != nil {
		return err
	}
	return p.offers(take)
}

// offers takes sockets until there are no more.
func (p *Parent) offers(take func(key string, fds []int)) error {
	for range maxSockets {
		k, text, fds, err := p.c.receive(patience)
		switch {
		case err != nil:
			return err
		case k == socket:
			var o offer
			if err := json.Unmarshal(text, &o); err != nil {
				closeAll(fds)
				return err
			}
			take(o.Key, fds)
		default:
			closeAll(fds)
			if k != end {
				return fmt.Errorf("it sent a message %d among its sockets", k)
			}
			return nil
		}
	}
	return errors.New("it has more sockets than can be")
}

// TakeOver tells it to stop accepting, which it has done when this returns: who comes
// now comes to us. take is called with the socket of its admin server, if it has one.
// It ends by itself after shutdown, should nobody tell it to.
func (p *Parent) TakeOver(shutdown time.Duration, take func(key string, fds []int)) error {
	if err := p.c.send(takeOver, shutdown, nil, patience); err != nil {
		return err
	}
	return p.offers(take)
}

// Figures calls put with what the other has counted so far, several times, until it
// has ended. Its own goroutine, after TakeOver.
func (p *Parent) Figures(put func(map[string]uint64)) {
	for {
		k, text, fds, err := p.c.receive(0)
		if err != nil {
			return
		}
		closeAll(fds)
		var some map[string]uint64
		if k == figures && json.Unmarshal(text, &some) == nil {
			put(some)
		}
	}
}

// Terminate tells it to end. Any goroutine.
func (p *Parent) Terminate() error { return p.c.send(terminate, struct{}{}, nil, patience) }

// Close lets go of it: before TakeOver it goes on as if nobody had come. Any goroutine.
func (p *Parent) Close() { p.c.Close() }
