package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary stand in for the built program.
func TestMain(m *testing.M) {
	if os.Getenv("RELAY") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l.(*net.TCPListener)
}

// TestRelayKeepsBytesAndHalfCloses sends more than the sockets hold to a backend that answers only
// after the end of the request, so both directions meet full buffers and a half-close.
func TestRelayKeepsBytesAndHalfCloses(t *testing.T) {
	backend := listen(t)
	defer backend.Close()
	go func() {
		conn, err := backend.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		whole, _ := io.ReadAll(conn)
		_, _ = conn.Write(whole)
	}()
	front := listen(t)
	address := front.Addr().String()
	_ = front.Close()
	program := exec.Command(os.Args[0], "-listen", address, "-upstream", backend.Addr().String())
	program.Env = append(os.Environ(), "RELAY=1")
	program.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = program.Process.Kill()
		_ = program.Wait()
	}()

	conn := dial(t, address)
	defer conn.Close()
	want := bytes.Repeat([]byte("0123456789abcdef!"), 1<<20)
	if _, err := conn.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back, %v; want the %d sent", len(got), err, len(want))
	}
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	var last error
	for range 500 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			return conn.(*net.TCPConn)
		}
		last = err
		<-again.C
	}
	t.Fatal(last)
	return nil
}
