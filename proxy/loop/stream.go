package loop

// streamFactor says how much larger the buffer of Stream is than the shared
// one: 512 KiB. Who only passes bytes on gains by long reads (a third of the
// CPU time of a 1 MiB reply, against 128 KiB); who looks for messages in them
// does not, and would keep the others waiting.
const streamFactor = 4

// Stream takes what has come, at most max bytes of it, and reads once if
// nothing had. The bytes are used up; they are borrowed until the next Stream
// of any connection on the worker. It does not wait: nothing and no error say
// that nothing is there now. io.EOF is the peer's end; it stays. Worker only.
func (c *Conn) Stream(max int) ([]byte, error) {
	if c.closed {
		return nil, ErrClosed
	}
	w := c.w
	if w.stream == nil {
		w.stream = make([]byte, streamFactor*len(w.shared.buf))
	}
	p := w.stream[:min(max, len(w.stream))]
	if c.Pending() > 0 {
		n := copy(p, c.Buffered())
		c.Discard(n)
		return p[:n], nil
	}
	if !c.readable || c.eof {
		return nil, c.endOfInput()
	}
	n, err := c.take(p)
	return p[:n], err
}
