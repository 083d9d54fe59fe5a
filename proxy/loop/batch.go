package loop

import "syscall"

// Batches: a turn's reads in one system call, and its writes in another.
//
//	events ─▶ prefetch: one call reads every socket that has something
//	            ▼
//	          handlers and coroutines run: what they read is here already
//	            ▼
//	          flush: one call writes every queue
//
// Entering the kernel costs 0.1 µs on bare metal and more than 1 µs in some
// virtual machines; a proxied request enters it four times. What the calls do
// is the same, so a batch of one is not made (docs/decisions/0003).

// transfer is one read or write of a batch: what is asked, and what came of it
// as read(2) and send(2) would say it.
type transfer struct {
	fd    int
	p     []byte
	n     int
	errno syscall.Errno
}

const (
	// maxBatch is how many transfers go in one call, and how many events are
	// handled between two flushes.
	maxBatch = 64
	// fetchSize is how much a read of a batch may bring. What sends more than
	// that at a time is read by itself, into the worker's larger buffer.
	fetchSize = 8 << 10
)

// fetched is what a batch has read for a connection before anybody asked. To
// those who read it is as if it still lay in the socket.
type fetched struct {
	c     *Conn
	p     []byte // what came
	full  bool   // there may be more in the socket
	errno syscall.Errno
	own   bool // p is a buffer of the connection's own, from the worker's pool
}

// batch is a worker's memory for both directions. It is made when the first
// batch is.
type batch struct {
	transfers [maxBatch]transfer
	fetched   [maxBatch]fetched
	conns     [maxBatch]*Conn
	slots     []byte // maxBatch × fetchSize
}

// dispatchAll handles the events of a turn.
func (w *Worker) dispatchAll(evs []event) {
	for len(evs) > 0 {
		n := min(len(evs), maxBatch)
		got := w.prefetch(evs[:n])
		for i := range evs[:n] {
			w.dispatch(&evs[i])
		}
		w.keepFetched(got)
		evs = evs[n:]
	}
}

// prefetch reads for the connections whose events say that something came and
// whose readers or handlers will ask for it now. It returns how many.
func (w *Worker) prefetch(evs []event) int {
	if len(evs) < 2 || !w.batches {
		return 0
	}
	b := w.batchMemory()
	n := 0
	for i := range evs {
		if c := w.reads(&evs[i]); c != nil {
			b.conns[n] = c
			b.transfers[n] = transfer{fd: c.fd, p: b.slots[n*fetchSize : (n+1)*fetchSize]}
			n++
		}
	}
	if n < 2 {
		return 0
	}
	w.count.Batches++
	w.k.readAll(b.transfers[:n])
	for i := range n {
		c, t := b.conns[i], &b.transfers[i]
		f := &b.fetched[i]
		*f = fetched{c: c, p: t.p[:t.n], full: t.n == len(t.p), errno: t.errno}
		c.fetched, c.bulk = f, f.full
		c.arrived()
		b.conns[i] = nil
	}
	return n
}

// reads gives the connection that an event is about, if it will be read from
// as soon as it is told.
func (w *Worker) reads(ev *event) *Conn {
	fd := int(ev.Fd)
	if ev.Events&evIn == 0 || fd < 0 || fd >= len(w.conns) {
		return nil
	}
	e := w.conns[fd]
	if e == nil || e.gen != uint32(ev.Pad) || e.conn == nil {
		return nil
	}
	c := e.conn
	if c.connecting || c.eof || c.bulk || c.fetched != nil {
		return nil
	}
	if c.reader.Waiting() || c.handler != nil && !c.serving && !c.paused {
		return c
	}
	return nil
}

// recv is the socket's next bytes: those that a batch has read, else what a
// system call brings. full says that there may be more.
func (c *Conn) recv(p []byte) (n int, full bool, errno syscall.Errno) {
	f := c.fetched
	if f == nil {
		n, errno = c.w.k.read(c.fd, p)
		c.bulk = c.bulk && n >= fetchSize
		return n, n == len(p), errno
	}
	n = copy(p, f.p)
	f.p = f.p[n:]
	full, errno = f.full || len(f.p) > 0, f.errno
	if len(f.p) == 0 {
		c.dropFetched()
	}
	return n, full, errno
}

// dropFetched forgets what a batch has read.
func (c *Conn) dropFetched() {
	f := c.fetched
	if f == nil {
		return
	}
	if f.own {
		c.w.FreeBuffer(f.p[:0])
	}
	*f = fetched{}
	c.fetched = nil
}

// keepFetched moves what nobody has asked for yet, of the first n that were
// fetched, out of the way of the next batch. It is rare: a handler was paused
// by another in the same turn, or its reader takes less at a time.
func (w *Worker) keepFetched(n int) {
	for i := range n {
		f := &w.batch.fetched[i]
		if f.c == nil {
			continue
		}
		kept := *f
		if kept.p != nil {
			kept.p = append(w.bufs.get(len(f.p)), f.p...)
			kept.own = true
		}
		kept.c.fetched = &kept
		*f = fetched{}
	}
}

// flushAll writes the queues of the connections that are marked, as far as the
// sockets take them: two or more in one call. Those that it could not write
// remain for Flush.
func (w *Worker) flushAll() {
	if len(w.dirty) < 2 || !w.batches {
		return
	}
	b := w.batchMemory()
	for at := 0; at < len(w.dirty); {
		n := 0
		for ; at < len(w.dirty) && n < maxBatch; at++ {
			c := w.dirty[at]
			if c.layer != nil && !c.closed {
				c.seal()
			}
			if c.outOff < len(c.out) && c.writable && !c.connecting && !c.closed {
				b.conns[n] = c
				b.transfers[n] = transfer{fd: c.fd, p: c.out[c.outOff:]}
				n++
			}
		}
		if n < 2 {
			break
		}
		w.count.Batches++
		w.k.writeAll(b.transfers[:n])
		for i := range n {
			c, t := b.conns[i], &b.transfers[i]
			b.conns[i] = nil
			// Closed meanwhile, by what another's end has set off.
			if !c.closed {
				w.count.Writes++
				c.wrote(t.n, t.errno)
			}
			t.p = nil
		}
	}
}

// batchMemory is made when it is first needed.
func (w *Worker) batchMemory() *batch {
	if w.batch == nil {
		w.batch = &batch{slots: make([]byte, maxBatch*fetchSize)}
	}
	return w.batch
}
