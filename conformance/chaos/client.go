package main

// A client: a batch goes out whole, every answer of it is checked, the next batch goes out.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a client waits for the answers of a batch; attache owes each within op_timeout.
const patience = 10 * time.Second

// load is all clients together.
type load struct {
	ctx      context.Context
	keys     []string
	port     int
	depth    span[int]
	left     atomic.Int64 // commands that nobody has taken yet
	answered atomic.Int64
	done     chan struct{} // closed when every client has ended
	clients  []*client
	began    time.Time
	ended    time.Time
}

type client struct {
	load   *load
	random *rand.Rand
	writer uint64
	number uint64 // of values written

	conn net.Conn // nil: to be opened
	in   *bufio.Reader

	out   []byte
	owed  []command
	asked []uint64
	want  []byte

	tally tally
}

func begin(ctx context.Context, o options, port int) *load {
	l := &load{ctx: ctx, port: port, depth: o.depth, done: make(chan struct{}), began: time.Now()}
	l.left.Store(o.requests)
	for i := range o.keys {
		l.keys = append(l.keys, fmt.Sprintf("key:%08d", i))
	}
	var all sync.WaitGroup
	for i := range o.clients {
		c := &client{load: l, writer: uint64(i), random: rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))}
		c.tally.errors = map[string]int64{}
		l.clients = append(l.clients, c)
		all.Go(c.run)
	}
	go func() {
		all.Wait()
		l.ended = time.Now()
		close(l.done)
	}()
	return l
}

// end is what the clients saw, once they are done.
func (l *load) end() *tally {
	<-l.done
	sum := &tally{errors: map[string]int64{}, took: l.ended.Sub(l.began)}
	for _, c := range l.clients {
		sum.add(&c.tally)
	}
	return sum
}

// take claims the commands of the next batch; 0 if there are no more.
func (l *load) take(n int) int {
	return int(min(int64(n), max(0, l.left.Add(-int64(n))+int64(n))))
}

func (c *client) run() {
	for c.load.ctx.Err() == nil {
		n := c.load.take(within(c.load.depth, c.random))
		if n == 0 {
			break
		}
		c.batch(n)
		if err := c.exchange(); err != nil {
			c.give(err)
		}
		c.load.answered.Add(int64(n))
	}
	if c.conn != nil {
		if err := c.leave(); err != nil {
			c.give(err)
		}
	}
}

// exchange sends the batch and takes its answers.
func (c *client) exchange() (err error) {
	if c.conn == nil {
		if c.conn, c.in, err = dial(c.load.port); err != nil {
			return lostAnswers{c.due(0), err}
		}
	}
	began := time.Now()
	_ = c.conn.SetDeadline(began.Add(patience)) // fails only on a closed connection, as does what follows
	if _, err := c.conn.Write(c.out); err != nil {
		return lostAnswers{c.due(0), err}
	}
	c.tally.requests += int64(len(c.owed))
	for i, cmd := range c.owed {
		if err := c.answer(cmd); err != nil {
			if wrong := new(wrongAnswer); errors.As(err, wrong) {
				return err
			}
			return lostAnswers{c.due(i), err}
		}
	}
	c.tally.slowest = max(c.tally.slowest, time.Since(began))
	return nil
}

// due counts the answers that the batch is owed from its i-th command on.
func (c *client) due(i int) (n int64) {
	for _, cmd := range c.owed[i:] {
		if cmd.kind != quiet {
			n++
		}
	}
	return n
}

// leave ends the conversation: after the last answer there is not one byte more.
func (c *client) leave() error {
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write([]byte("version\r\nquit\r\n")); err != nil {
		return lostAnswers{1, err}
	}
	if err := c.answer(command{kind: version}); err != nil {
		return err
	}
	if extra, err := c.in.Peek(1); len(extra) > 0 {
		return wrongAnswer(fmt.Sprintf("an answer that nobody asked for begins with %q", extra))
	} else if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return wrongAnswer("quit was not followed by the end of the connection")
	}
	return c.conn.Close()
}

// give counts a fault; after one, answers cannot be told apart any more, so the connection ends.
func (c *client) give(err error) {
	var lost lostAnswers
	if errors.As(err, &lost) {
		c.tally.lost += lost.n
		c.tally.connections++
	} else {
		c.tally.crossed++
	}
	if len(c.tally.faults) < 3 {
		c.tally.faults = append(c.tally.faults, fmt.Sprintf("client %d: %v", c.writer, err))
	}
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
