package behaviour

// A host that is a memcached (its text protocol: get, gets, set, delete, version).

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// memcached makes the host one that has these values.
func (h *host) memcached(pairs []string) error {
	h.store = map[string]string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("%q is no KEY=VALUE", pair)
		}
		h.store[key] = value
	}
	return nil
}

// keep serves a client; each command is shown as the host saw it.
func (h *host) keep(c *wire, r *bufio.Reader) {
	for {
		line, err := readLine(r)
		if err != nil {
			return
		}
		m := &message{start: line}
		words := strings.Fields(line)
		if len(words) == 0 {
			return
		}
		if words[0] != "version" {
			h.w.saw(h, m)
		}
		if h.always != nil && len(h.always.pieces) > 0 && h.always.pieces[0].kind == "delay" {
			h.w.upstream.Sleep(h.always.pieces[0].delay)
		}
		switch words[0] {
		case "get", "gets":
			for _, key := range words[1:] {
				if value, ok := h.store[key]; ok {
					_, _ = fmt.Fprintf(c, "VALUE %s 0 %d\r\n%s\r\n", key, len(value), value)
				}
			}
			_, err = io.WriteString(c, "END\r\n")
		case "set":
			n, _ := strconv.Atoi(words[4])
			data := make([]byte, n+2)
			if _, err = io.ReadFull(r, data); err == nil {
				h.store[words[1]] = string(data[:n])
				m.body = data[:n]
				_, err = io.WriteString(c, "STORED\r\n")
			}
		case "delete":
			delete(h.store, words[1])
			_, err = io.WriteString(c, "DELETED\r\n")
		case "version":
			_, err = io.WriteString(c, "VERSION 1.6\r\n")
		default:
			_, err = io.WriteString(c, "ERROR\r\n")
		}
		if err != nil || c.Closed() {
			return
		}
	}
}
