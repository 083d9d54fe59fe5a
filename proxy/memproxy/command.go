package memproxy

// What becomes of one command?

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/codec/memcache"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// version is what a client is told. It begins with a number, because clients
// read one, and that of the memcached whose grammar this is.
const version = "1.6.18-attache"

// command carries out one command whose words and data are checked.
func (k *client) command(c *memcache.Command) {
	k.at.count.commands[c.Op]++
	switch {
	case c.Op == memcache.Version:
		k.answer("VERSION " + version + "\r\n")
	case c.Op == memcache.Verbosity:
		if !c.NoReply {
			k.answer(memcache.LineOK)
		}
	case c.Op == memcache.Quit:
		k.closing = true
	case !harmless(c):
		k.refuse(memcache.LineBadFormat, c.NoReply)
	case c.NumKeys > 1:
		k.many(c)
	default:
		k.single(c)
	}
}

// harmless reports whether memcached will understand what the codec lets
// through: a storage command with an expiry time of more than 32 bits is
// refused by memcached without reading its data as data, and would cost
// everybody the shared connection.
func harmless(c *memcache.Command) bool {
	if !c.Op.IsStorage() || len(c.Exptime) <= 9 {
		return true
	}
	_, err := strconv.ParseInt(string(c.Exptime), 10, 32)
	return err == nil
}

// refused answers what is no command.
func (k *client) refused(r *memcache.Refusal) {
	k.refuse(r.Reply, r.Silent)
	if r.Close {
		k.closing = true
	}
}

func (k *client) refuse(line string, silent bool) {
	k.at.count.refused++
	if !silent {
		k.answer(line)
	}
}

// answer says something of our own, in its turn.
func (k *client) answer(line string) {
	if k.first == nil {
		k.conn.Commit(append(k.conn.Begin(len(line)), line...))
		return
	}
	s := k.slot(&memcache.Command{})
	s.open = 0
	s.text = append(k.extend(s.text, len(line)), line...)
	k.held += len(line)
	k.push(s)
}

// single asks one host about one key.
func (k *client) single(c *memcache.Command) {
	on := k.at.match(c.Key)
	key := c.Key[on.strip:]
	if on.strip > 0 && !memcache.ValidKey(key) {
		k.refuse(memcache.LineBadFormat, c.NoReply)
		return
	}
	s := k.slot(c)
	s.keys = append(s.keys[:0], c.Key...)
	p := s.part(nil)
	p.route = on
	k.push(s)
	x, o := k.at.pick(k.conn.Worker(), on, c.Key, k.pin)
	if o != outcome.OK {
		p.fail(o)
		return
	}
	out, o := x.begin(s.cost + 8)
	if o != outcome.OK {
		p.fail(o)
		return
	}
	x.commit(p, memcache.AppendCommand(out, c, key, true))
}

// many asks each host about its keys of a retrieval, in one command.
func (k *client) many(c *memcache.Command) {
	s := k.slot(c)
	if !s.list(c) {
		k.at.free(s)
		k.refuse(memcache.LineBadFormat, false)
		return
	}
	k.push(s)
	s.split()
	for p := s.parts; p != nil; {
		next := p.sibling
		p.session.gather = nil
		p.send(c)
		p = next
	}
	s.ended() // it is made
}

// list notes the keys with their routes; false: one of them is none without its
// prefix.
func (s *slot) list(c *memcache.Command) bool {
	for key, rest := c.Key, c.Rest; key != nil; key, rest = memcache.NextKey(rest) {
		on := s.client.at.match(key)
		if on.strip > 0 && !memcache.ValidKey(key[on.strip:]) {
			return false
		}
		s.items = append(s.items, item{route: on, at: int32(len(s.keys)), n: int32(len(key)), next: -1})
		s.keys = append(s.keys, key...)
	}
	return true
}

// gatLine bounds the line of a gat or gats: memcached closes a connection that
// brings 2 KiB without a line end, but for get and gets.
const gatLine = 1800

// split gives every key to the part of its host.
func (s *slot) split() {
	k := s.client
	w, last := k.conn.Worker(), (*part)(nil)
	short := s.op == memcache.Gat || s.op == memcache.Gats
	failed := false
	for i := range s.items {
		it := &s.items[i]
		x, o := k.at.pick(w, it.route, s.keys[it.at:it.at+it.n], k.pin)
		if o != outcome.OK {
			failed = true
			s.noHost(it.route, o)
			continue
		}
		p := x.gather
		if p == nil || p.slot != s || p.route.strip != it.route.strip || short && p.line+int(it.n) > gatLine {
			p = s.part(last)
			p.session, p.route, p.first, p.at = x, it.route, int32(i), int32(i)
			last, x.gather = p, p
			s.open++
		} else {
			s.items[p.last].next = int32(i)
		}
		it.part, p.last = p, int32(i)
		p.line += int(it.n) + 1
	}
	s.joined = failed || s.parts == nil || s.parts.sibling != nil
}

// noHost notes that a key of several has no host to ask.
func (s *slot) noHost(on *route, o outcome.Outcome) {
	p := part{slot: s, route: on}
	s.joined = true
	say(&p, p.failure(o))
}

// send writes the command for the keys of a part.
func (p *part) send(c *memcache.Command) {
	out, o := p.session.begin(p.line + 64)
	if o != outcome.OK {
		p.fail(o)
		return
	}
	s := p.slot
	out = memcache.AppendRetrieval(out, c.Op, c.Exptime)
	for i := p.first; i >= 0; i = s.items[i].next {
		out = memcache.AppendWord(out, s.key(&s.items[i], p.route.strip))
	}
	p.session.commit(p, memcache.AppendCRLF(out))
}

// key is an item's key as the host knows it.
func (s *slot) key(it *item, strip int) []byte {
	return s.keys[int(it.at)+strip : it.at+it.n]
}
