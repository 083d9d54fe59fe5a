//go:build infra

package infra

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// traffic is a steady load through a sidecar: each of its clients sends one
// request after the other and checks the answer.
type traffic struct {
	stop   chan struct{}
	all    sync.WaitGroup
	sent   atomic.Uint64
	failed atomic.Uint64

	mu    sync.Mutex
	first []string // the first failures
	began time.Time
}

const (
	clients = 8
	// pause between a client's requests: some thousand a second of all.
	pause = 2 * time.Millisecond
)

// run starts the clients; request is called by each with its number and a
// count. The test fails if a request did, unless it ended the traffic itself.
func run(t *testing.T, request func(client, n int) error) *traffic {
	tr := &traffic{stop: make(chan struct{}), began: time.Now()}
	for c := range clients {
		tr.all.Go(func() { tr.client(c, request) })
	}
	t.Cleanup(func() { tr.end(t) })
	return tr
}

func (tr *traffic) client(c int, request func(client, n int) error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tr.stop:
			return
		case <-tick.C:
		}
		tr.sent.Add(1)
		if err := request(c, n); err != nil {
			tr.failed.Add(1)
			tr.mu.Lock()
			if len(tr.first) < 5 {
				tr.first = append(tr.first, fmt.Sprintf("%v in: %v", time.Since(tr.began).Round(time.Millisecond), err))
			}
			tr.mu.Unlock()
		}
	}
}

// end stops the clients and demands that no request failed.
func (tr *traffic) end(t *testing.T) {
	t.Helper()
	select {
	case <-tr.stop:
		return
	default:
	}
	close(tr.stop)
	tr.all.Wait()
	t.Logf("%d requests, %d failed", tr.sent.Load(), tr.failed.Load())
	if tr.sent.Load() == 0 {
		t.Error("no request was sent")
	}
	if tr.failed.Load() > 0 {
		t.Errorf("%d of %d requests failed although there was a healthy host; first: %q", tr.failed.Load(), tr.sent.Load(), tr.first)
	}
}

// memcachedTraffic writes and reads keys through the sidecar's port. A key that
// is gone is no failure: it moved with a change of the shards.
func memcachedTraffic(t *testing.T, addr string) *traffic {
	client := memcache.New(addr)
	client.Timeout, client.MaxIdleConns = 2*time.Second, clients
	t.Cleanup(func() { client.Close() })
	return run(t, func(c, n int) error {
		key := fmt.Sprintf("k%d.%d", c, n/2%1000)
		if n%2 == 0 {
			return client.Set(&memcache.Item{Key: key, Value: []byte(key)})
		}
		item, err := client.Get(key)
		switch {
		case errors.Is(err, memcache.ErrCacheMiss):
			return nil
		case err != nil:
			return err
		case string(item.Value) != key:
			return fmt.Errorf("value of %q is %q", key, item.Value)
		}
		return nil
	})
}

// httpTraffic gets / through the sidecar's port.
func httpTraffic(t *testing.T, addr string) *traffic {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	t.Cleanup(client.CloseIdleConnections)
	return run(t, func(int, int) error {
		_, err := get(client, "http://"+addr+"/")
		return err
	})
}

// get demands 200 and gives the body.
func get(client *http.Client, url string) (string, error) {
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, r.Status, text)
	}
	return string(text), err
}
