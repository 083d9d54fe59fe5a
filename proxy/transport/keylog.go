package transport

// The keys of sessions, written to a file for debugging (key_log).

import (
	"crypto/tls"
	"fmt"
	"os"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// keyLog gathers the lines of one handshake, which are written off the worker.
type keyLog struct{ lines []byte }

// Write is io.Writer's.
func (l *keyLog) Write(p []byte) (int, error) {
	l.lines = append(l.lines, p...)
	return len(p), nil
}

// watch gives the configuration of a handshake, its keys logged if they are
// asked for.
func (l *keyLog) watch(cfg *tls.Config, k *config.KeyLog, c *loop.Conn) *tls.Config {
	if k == nil || !k.Matches(c.Local().Addr(), c.Peer().Addr()) {
		return cfg
	}
	cfg = cfg.Clone()
	cfg.KeyLogWriter = l
	return cfg
}

// write appends what was gathered to the file, in a coroutine that waits for
// it.
func (l *keyLog) write(k *config.KeyLog, w *loop.Worker) {
	if len(l.lines) == 0 {
		return
	}
	var err error
	w.Offload(func() { err = appendFile(k.Path, l.lines) })
	if err != nil {
		w.Log().Warn("the keys of a TLS session are not logged", "error", err)
	}
}

func appendFile(path string, p []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(p)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// checkKeyLog reports why a key log cannot be written to.
func checkKeyLog(k *config.KeyLog) error {
	if err := appendFile(k.Path, nil); err != nil {
		return fmt.Errorf("key_log.path: %w", err)
	}
	return nil
}
