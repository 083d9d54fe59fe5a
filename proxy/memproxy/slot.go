package memproxy

// How does each command get its one answer, in its turn?

import "github.com/attache-mesh/attache/proxy/codec/memcache"

// slot is one command of a client from its arrival to its answer. Slots are
// kept and used again.
type slot struct {
	next    *slot // the client's next command; or the next free slot
	client  *client
	op      memcache.Op
	noReply bool
	joined  bool // the answer is joined from several parts
	open    int  // parts that are not answered, and one while it is being made
	cost    int  // bytes of the command
	size    int  // bytes of the answer
	keys    []byte
	items   []item // one for each key, if there are several
	parts   *part  // linked by sibling
	text    []byte // answer that waits for its turn; of a joined one its last line, nil: END
	one     part   // the only or first part
}

// item is one of several keys of a retrieval.
type item struct {
	part   *part // nil: no host could be picked
	route  *route
	at, n  int32 // keys[at:at+n]
	next   int32 // next item of the same part; -1
	length int32 // bytes of its VALUE in part.held; 0: a miss
}

// part is one command to one host: all of a slot, or its keys for that host.
type part struct {
	next     *part // the session's next; or the next free part
	sibling  *part
	slot     *slot
	session  *session
	route    *route
	start    int64 // where it begins in the bytes of its connection
	deadline int64 // worker's nanoseconds
	first    int32 // items, -1: none, the slot has one key
	last     int32
	at       int32  // the first item that may still get a value
	now      int32  // the item whose value comes
	line     int    // bytes of the command so far
	got      bool   // the only key's value has come
	partial  bool   // within a value that comes in pieces and is kept or passed on
	drop     bool   // values were dropped: there was no room for them
	mark     int    // where that value begins in what is kept
	held     []byte // values for a joined answer
}

// deaf reports whether nobody is to be answered.
func (s *slot) deaf() bool { return s.noReply || s.client.ended }

// end counts a part as answered; its answer has been said.
func (p *part) end() { p.slot.ended() }

func (s *slot) ended() {
	if s.open--; s.open > 0 {
		return
	}
	k := s.client
	k.load -= s.cost
	if s.deaf() {
		k.slots--
		k.at.free(s)
	} else {
		k.guess(s.size)
		if s == k.first {
			k.advance()
		}
	}
	k.settle()
}

// guess follows the sizes of answers: up at once, down slowly.
func (k *client) guess(size int) {
	if size >= k.expect {
		k.expect = size
	} else {
		k.expect -= (k.expect - size + 15) / 16
	}
}

// advance hands over the answers whose turn has come. The first slot is done.
func (k *client) advance() {
	for s := k.first; s != nil; s = k.first {
		if s.joined && s.open == 0 {
			s.join()
		} else if !s.joined && len(s.text) > 0 {
			k.held -= len(s.text)
			k.conn.Commit(append(k.conn.Begin(len(s.text)), s.text...))
			s.text = s.text[:0]
		}
		if s.open > 0 {
			return
		}
		if k.first = s.next; k.first == nil {
			k.last = nil
		}
		k.slots--
		k.at.free(s)
	}
}

// push puts a slot behind the client's others.
func (k *client) push(s *slot) {
	k.slots++
	k.load += s.cost
	if s.noReply {
		return
	}
	if k.last == nil {
		k.first = s
	} else {
		k.last.next = s
	}
	k.last = s
}

// slot gives a clean one for a command.
func (k *client) slot(c *memcache.Command) *slot {
	at := k.at
	s := at.slots
	if s == nil {
		s = new(slot)
	} else {
		at.slots, s.next = s.next, nil
		at.spare--
	}
	s.client, s.op, s.noReply = k, c.Op, c.NoReply
	s.joined, s.size, s.open = false, 0, 1
	s.cost = len(c.Line) + len(c.Data)
	s.parts = nil
	s.one.reset(s)
	return s
}

func (p *part) reset(s *slot) {
	*p = part{slot: s, first: -1, last: -1, held: p.held[:0]}
}

// part gives a clean one for a slot and links it behind the others.
func (s *slot) part(after *part) *part {
	p := &s.one
	if after == nil {
		s.parts = p
		return p
	}
	at := s.client.at
	if p = at.parts; p == nil {
		p = new(part)
	} else {
		at.parts = p.next
	}
	p.reset(s)
	after.sibling = p
	return p
}

// What a free slot may keep of its memory, and how many a worker keeps.
const (
	keepKeys  = 2048
	keepItems = 128
	keepSlots = 8192
)

// free takes back a slot that nothing refers to any more.
func (at *local) free(s *slot) {
	w := s.client.conn.Worker()
	for p := s.parts; p != nil; {
		next := p.sibling
		if p.held != nil {
			w.FreeBuffer(p.held)
			p.held = nil
		}
		if p != &s.one {
			p.slot, p.sibling, p.session, p.route = nil, nil, nil, nil
			p.next, at.parts = at.parts, p
		}
		p = next
	}
	if cap(s.text) > keepSmall {
		w.FreeBuffer(s.text)
		s.text = nil
	}
	if at.spare >= keepSlots || cap(s.keys) > keepKeys || cap(s.items) > keepItems {
		return
	}
	clear(s.items)
	s.text, s.keys, s.items = s.text[:0], s.keys[:0], s.items[:0]
	s.client, s.parts = nil, nil
	at.spare++
	s.next, at.slots = at.slots, s
}
