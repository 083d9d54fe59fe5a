package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const patience = 30 * time.Second // for all that one connection of an exercise does

// gather is a path whose requests the fake backend answers only when callConns of them have
// arrived: afterwards the proxy has as many upstream connections as it can need.
const gather = "/gather"

// fake is a backend inside the bench that answers whatever one read brought in one write, so that
// what the proxy does is the same in every run.
func fake(speaks protocol) (net.Listener, int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	answer := answerMemcached
	if speaks == http1 {
		answer = answerHTTP()
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go converse(conn, answer)
		}
	}()
	return listener, listener.Addr().(*net.TCPAddr).Port, nil
}

// converse lets answer take whole messages off what has been read and append the replies.
func converse(conn net.Conn, answer func(read, replies []byte) (rest, out []byte)) {
	defer conn.Close()
	var read, replies []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		read, replies = answer(append(read, buf[:n]...), replies[:0])
		if _, err := conn.Write(replies); err != nil {
			return
		}
	}
}

func answerHTTP() func(read, replies []byte) (rest, out []byte) {
	reply := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", smallBody, smallReply())
	var gathered sync.WaitGroup
	gathered.Add(callConns)
	return func(read, replies []byte) (rest, out []byte) {
		for {
			head, rest, whole := bytes.Cut(read, []byte("\r\n\r\n"))
			if !whole {
				return read, replies
			}
			if bytes.HasPrefix(head, []byte("GET "+gather)) {
				gathered.Done()
				gathered.Wait()
			}
			read, replies = rest, append(replies, reply...)
		}
	}
}

func answerMemcached(read, replies []byte) (rest, out []byte) {
	for {
		line, rest, whole := bytes.Cut(read, []byte("\r\n"))
		if !whole {
			return read, replies
		}
		if key, ok := bytes.CutPrefix(line, []byte("get ")); ok {
			replies = append(replies, valueReply(string(bytes.TrimSpace(key)))...)
		} else {
			replies = append(replies, "VERSION 1.6.0\r\n"...)
		}
		read = rest
	}
}

func valueReply(key string) string {
	return fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", key, len(key), key)
}

// exerciseHTTP opens the connections, fills the proxy's pool, and then keeps one request in flight on each.
func exerciseHTTP(port int) (exercise, error) {
	conns, err := dial(port, callConns)
	if err != nil {
		return exercise{}, err
	}
	request := func(path string) []byte {
		return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path)
	}
	all := func(path string, times int) error {
		problems := make([]error, len(conns))
		var running sync.WaitGroup
		for i, conn := range conns {
			running.Go(func() {
				for n := 0; n < times && problems[i] == nil; n++ {
					problems[i] = ask(conn, request(path), func(got []byte) bool {
						return bytes.HasPrefix(got, []byte("HTTP/1.1 200 ")) && bytes.HasSuffix(got, []byte(smallReply()))
					})
				}
			})
		}
		running.Wait()
		return errors.Join(problems...)
	}
	client := exercise{
		run:   func() (int, error) { return callConns * callTurns, all("/", callTurns) },
		close: func() { closeAll(conns) },
	}
	if err := errors.Join(all(gather, 1), all("/", 10)); err != nil {
		client.close()
		return exercise{}, err
	}
	return client, nil
}

// exerciseMemcached sends batches of gets on one connection, each batch in one write.
func exerciseMemcached(port int) (exercise, error) {
	conns, err := dial(port, 1)
	if err != nil {
		return exercise{}, err
	}
	var batch, want []byte
	for i := range batchSize {
		key := fmt.Sprintf("%08x", uint32(i+1)*0x9e3779b1) // scattered, so that every shard has some
		batch = fmt.Appendf(batch, "get %s\r\n", key)
		want = append(want, valueReply(key)...)
	}
	all := func(times int) error {
		for range times {
			if err := ask(conns[0], batch, func(got []byte) bool { return bytes.Equal(got, want) }); err != nil {
				return err
			}
		}
		return nil
	}
	client := exercise{
		run:   func() (int, error) { return callBatches, all(callBatches) },
		close: func() { closeAll(conns) },
	}
	if err := all(20); err != nil {
		client.close()
		return exercise{}, err
	}
	return client, nil
}

// ask sends b and reads until the reply is complete; a reply that never is ends by the connection's deadline.
func ask(conn net.Conn, b []byte, complete func([]byte) bool) error {
	if _, err := conn.Write(b); err != nil {
		return err
	}
	var got []byte
	buf := make([]byte, 16<<10)
	for !complete(got) {
		n, err := conn.Read(buf)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("%w after %.200q", err, got)
		}
		got = append(got, buf[:n]...)
	}
	return nil
}

func dial(port, n int) ([]net.Conn, error) {
	var conns []net.Conn
	for range n {
		conn, err := net.DialTimeout("tcp", loopback(port), patience)
		if err == nil {
			conns = append(conns, conn)
			err = conn.SetDeadline(time.Now().Add(patience))
		}
		if err != nil {
			closeAll(conns)
			return nil, err
		}
	}
	return conns, nil
}

func closeAll(conns []net.Conn) {
	for _, conn := range conns {
		_ = conn.Close()
	}
}
