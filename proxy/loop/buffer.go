package loop

// Buffers of a worker. Most reads go to the one shared buffer: its bytes are
// used up before the next connection is looked at. Only what is left over from
// a partial message is copied out, and only when somebody else needs the
// buffer.

// sharedSize is how much one read can bring.
const sharedSize = 128 << 10

// shared is the read buffer that all connections of a worker take turns in.
// owner, if not nil, has unread bytes in buf[from:to].
type shared struct {
	buf      []byte
	owner    *Conn
	from, to int
}

// evictShared moves the owner's unread bytes to a buffer of its own.
func (w *Worker) evictShared() {
	s := &w.shared
	c := s.owner
	if c == nil {
		return
	}
	s.owner = nil
	if s.from < s.to {
		c.in = append(w.bufs.get(s.to-s.from), s.buf[s.from:s.to]...)
		c.inOff = 0
	}
}

// Size classes of pooled buffers: 512 bytes << class.
const (
	smallest  = 512
	classes   = 8       // up to 64 KiB
	keepBytes = 1 << 20 // of each class, but of that of a queue
	keepQueue = 4 << 20 // of that: a thousand requests in flight may have one each
	queueSize = 4 << 10 // the first buffer of a queue
	leastRoom = 2 << 10 // a read is worth its system call
)

// buffers keeps freed buffers by size class, a bounded number of bytes of each.
type buffers struct {
	free [classes][][]byte
}

// get gives an empty buffer with room for at least n bytes.
func (b *buffers) get(n int) []byte {
	size, class := smallest, 0
	for size < n {
		size <<= 1
		class++
	}
	if class < classes {
		if f := b.free[class]; len(f) > 0 {
			p := f[len(f)-1]
			f[len(f)-1] = nil
			b.free[class] = f[:len(f)-1]
			return p
		}
	}
	return make([]byte, 0, size)
}

// put takes a buffer back; one of an odd size is left to the collector.
func (b *buffers) put(p []byte) {
	class, size := 0, smallest
	for size < cap(p) && class < classes {
		size <<= 1
		class++
	}
	keep := keepBytes
	if size == queueSize {
		keep = keepQueue
	}
	if class < classes && size == cap(p) && (len(b.free[class])+1)*size <= keep {
		b.free[class] = append(b.free[class], p[:0])
	}
}

// Buffer gives an empty buffer with room for n bytes from the worker's pool.
// Worker only.
func (w *Worker) Buffer(n int) []byte { return w.bufs.get(n) }

// FreeBuffer gives a buffer back. Nothing may use it afterwards. Worker only.
func (w *Worker) FreeBuffer(p []byte) {
	if cap(p) > 0 {
		w.bufs.put(p)
	}
}
