package main

// Is this the answer to that command?

import (
	"bytes"
	"fmt"
	"math/bits"
)

// wrongAnswer is one that its command cannot have.
type wrongAnswer string

func (w wrongAnswer) Error() string { return string(w) }

// lostAnswers were owed when the connection failed.
type lostAnswers struct {
	n     int64
	cause error
}

func (l lostAnswers) Error() string { return fmt.Sprintf("%d answers lost: %v", l.n, l.cause) }
func (l lostAnswers) Unwrap() error { return l.cause }

// answer takes the next answer, which must be cmd's.
func (c *client) answer(cmd command) error {
	switch cmd.kind {
	case quiet:
		return nil
	case get, gets:
		return c.values(cmd)
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	switch {
	case cmd.kind == set && string(line) == "STORED",
		cmd.kind == del && (string(line) == "DELETED" || string(line) == "NOT_FOUND"),
		cmd.kind == version && bytes.HasPrefix(line, []byte("VERSION ")),
		cmd.kind != version && c.failed(line):
		return nil
	}
	return c.wrong(cmd, line)
}

// values takes those of a retrieval: each key at most as often as it was asked for, then END or what failed.
func (c *client) values(cmd command) error {
	keys := c.asked[cmd.first : cmd.first+cmd.n]
	var answered uint32 // by place in keys
	for {
		line, err := c.line()
		switch {
		case err != nil:
			return err
		case string(line) == "END":
			c.tally.misses += int64(cmd.n - bits.OnesCount32(answered))
			return nil
		case c.failed(line):
			return nil
		}
		place, flags, size, ok := c.header(line, cmd.kind, keys, answered)
		if !ok {
			return c.wrong(cmd, line)
		}
		answered |= 1 << place
		data, err := c.in.Peek(size + 2)
		if err != nil {
			return err
		}
		if string(data[size:]) != "\r\n" {
			return wrongAnswer(fmt.Sprintf("%s: the value does not end where its line says", c.load.keys[keys[place]]))
		}
		if err := c.checkValue(data[:size], flags, keys[place]); err != nil {
			return wrongAnswer(err.Error())
		}
		_, _ = c.in.Discard(len(data)) // it is in the buffer
		c.tally.values++
	}
}

// header reads "VALUE key flags bytes [cas]"; false if the key was not asked for, or is answered already.
func (c *client) header(line []byte, k kind, keys []uint64, answered uint32) (place int, flags uint64, size int, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("VALUE "))
	name, rest, more := bytes.Cut(rest, []byte(" "))
	if !ok || !more {
		return 0, 0, 0, false
	}
	flags, rest = number(rest)
	bytesOf, cas := number(rest)
	if (len(cas) > 0) != (k == gets) || bytesOf > usual+large {
		return 0, 0, 0, false
	}
	for i, key := range keys {
		if answered&(1<<i) == 0 && c.load.keys[key] == string(name) {
			return i, flags, int(bytesOf), true
		}
	}
	return 0, 0, 0, false
}

// line takes one line, without its end. It is good until the next read.
func (c *client) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line, []byte("\r\n")), nil
}

// failed counts a SERVER_ERROR by its text.
func (c *client) failed(line []byte) bool {
	if !bytes.HasPrefix(line, []byte("SERVER_ERROR ")) {
		return false
	}
	c.tally.errors[string(line)]++
	return true
}

func (c *client) wrong(cmd command, line []byte) error {
	text := cmd.kind.String()
	for _, key := range c.asked[cmd.first : cmd.first+cmd.n] {
		text += " " + c.load.keys[key]
	}
	return wrongAnswer(fmt.Sprintf("%q was answered %.100q", text, line))
}
