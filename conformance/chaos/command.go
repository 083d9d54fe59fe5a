package main

// The commands of a batch, and what each is owed.

import "strconv"

type kind uint8

const (
	get kind = iota
	gets
	set
	quiet // set with noreply: no answer
	del
	version // answered by attache itself, in its turn
)

func (k kind) String() string {
	return [...]string{"get", "gets", "set", "set noreply", "delete", "version"}[k]
}

// command is one that was sent, with the keys asked[first:first+n].
type command struct {
	kind     kind
	first, n int
}

const mostKeys = 16 // in a multi-get

// batch writes n commands into c.out and c.owed.
func (c *client) batch(n int) {
	c.out, c.owed, c.asked = c.out[:0], c.owed[:0], c.asked[:0]
	for range n {
		switch r := c.random.IntN(100); {
		case r < 42:
			c.add(get, 1)
		case r < 58:
			c.add(get, 2+c.random.IntN(mostKeys-1))
		case r < 66:
			c.add(gets, 1+c.random.IntN(2))
		case r < 88:
			c.add(set, 1)
		case r < 94:
			c.add(quiet, 1)
		case r < 98:
			c.add(del, 1)
		default:
			c.add(version, 0)
		}
	}
}

func (c *client) add(k kind, keys int) {
	c.owed = append(c.owed, command{k, len(c.asked), keys})
	for range keys {
		c.asked = append(c.asked, c.random.Uint64N(uint64(len(c.load.keys))))
	}
	keysOf := c.asked[len(c.asked)-keys:]
	switch k {
	case get, gets:
		c.out = append(c.out, k.String()...)
		for _, key := range keysOf {
			c.out = append(append(c.out, ' '), c.load.keys[key]...)
		}
		c.out = append(c.out, "\r\n"...)
	case set, quiet:
		c.store(keysOf[0], k == quiet)
	case del:
		c.out = append(append(c.out, "delete "...), c.load.keys[keysOf[0]]...)
		c.out = append(c.out, "\r\n"...)
	case version:
		c.out = append(c.out, "version\r\n"...)
	}
}

func (c *client) store(key uint64, noreply bool) {
	c.number++
	name := c.load.keys[key]
	c.want = appendValue(c.want[:0], name, key, c.writer, c.number)
	c.out = append(append(c.out, "set "...), name...)
	c.out = strconv.AppendUint(append(c.out, ' '), uint64(flagsOf(fixed(key, c.writer, c.number))), 10)
	c.out = strconv.AppendInt(append(c.out, " 0 "...), int64(len(c.want)), 10)
	if noreply {
		c.out = append(c.out, " noreply"...)
	}
	c.out = append(append(append(c.out, "\r\n"...), c.want...), "\r\n"...)
}
