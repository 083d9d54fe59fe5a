package behaviour

// Messages of HTTP/1 as hosts and clients of a script read and write them: plainly,
// so that what was on the wire is what is shown.

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/loop"
)

type field struct{ name, value string }

// message is a request or an answer as it was seen.
type message struct {
	start    string // its first line
	fields   []field
	body     []byte
	trailers []field
	// end says how it ended where that is not as it should; interim are the 1xx
	// before it.
	end     string
	interim []*message
	// tls is what was agreed on, of the first message of a connection.
	tls string
}

func (m *message) get(name string) string {
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// readHead reads a first line and fields; io.EOF if there is none.
func readHead(r *bufio.Reader) (*message, error) {
	start, err := readLine(r)
	if err != nil {
		return nil, err
	}
	m := &message{start: start}
	m.fields, err = readFields(r)
	return m, err
}

func readFields(r *bufio.Reader) (all []field, err error) {
	for {
		line, err := readLine(r)
		if err != nil || line == "" {
			return all, err
		}
		name, value, _ := strings.Cut(line, ":")
		all = append(all, field{name, strings.TrimSpace(value)})
	}
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err == io.EOF && line != "" {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimRight(line, "\r\n"), err
}

// readBody reads what follows the head; open says that without a length it goes
// on to the end of the connection. What came of a broken one is kept.
func (m *message) readBody(r *bufio.Reader, open bool) error {
	if strings.EqualFold(m.get("transfer-encoding"), "chunked") {
		return m.readChunks(r)
	}
	n := int64(0)
	switch length := m.get("content-length"); {
	case length != "":
		n, _ = strconv.ParseInt(length, 10, 64)
	case open:
		var err error
		m.body, err = io.ReadAll(r)
		return err
	}
	var err error
	m.body, err = io.ReadAll(io.LimitReader(r, n))
	if err == nil && int64(len(m.body)) < n {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (m *message) readChunks(r *bufio.Reader) error {
	for {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseInt(size, 16, 32)
		if err != nil {
			return fmt.Errorf("chunk size %q", line)
		}
		if n == 0 {
			m.trailers, err = readFields(r)
			return err
		}
		chunk, err := io.ReadAll(io.LimitReader(r, n))
		m.body = append(m.body, chunk...)
		if err == nil {
			_, err = readLine(r)
		}
		if err != nil {
			return err
		}
	}
}

// ended says in a word what an error of a connection means.
func ended(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, loop.ErrTimeout):
		return "nothing more came"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	}
	return "reset"
}

// writeHead is a head in HTTP/1.
func writeHead(start string, fields []field) string {
	var b strings.Builder
	b.WriteString(start + "\r\n")
	for _, f := range fields {
		b.WriteString(f.name + ": " + f.value + "\r\n")
	}
	return b.String() + "\r\n"
}

func chunk(body string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(body), body) }

// lastChunk ends a chunked body.
func lastChunk(trailers []field) string { return writeHead("0", trailers) }
