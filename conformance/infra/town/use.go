package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// What the ambassador offers on localhost.
const (
	cacheAddress = "127.0.0.1:11211"
	webAddress   = "http://127.0.0.1:8080/"
)

// report is what an application met, in all that it did.
type report struct {
	mu sync.Mutex

	FirstMicros int64  `json:"firstMicros"` // when its first request was answered, from its first moment
	Cache       int    `json:"cache"`       // requests
	Web         int    `json:"web"`
	Failed      int    `json:"failed"`
	Lost        int    `json:"lost"` // keys that were not there: their shard is new
	Last        string `json:"last"` // error
	LastServed  bool   `json:"lastServed"`
	Route       string `json:"route"`   // what the last answer of the web service says of its way
	Starved     int64  `json:"starved"` // the longest time, in ms, that the machine had no CPU for it
}

func (r *report) note(n *int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*n++
	if err != nil {
		r.Failed++
		r.Last = time.Now().UTC().Format("15:04:05.000 ") + err.Error()
	}
}

func (r *report) text() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, _ := json.Marshal(r)
	return text
}

// watch notes how long the program is not run at all: what is late then is not its
// ambassador's fault. It never returns.
func (r *report) watch() {
	const nap = 10 * time.Millisecond
	for {
		before := time.Now()
		time.Sleep(nap)
		late := (time.Since(before) - nap).Milliseconds()
		r.mu.Lock()
		r.Starved = max(r.Starved, late)
		r.mu.Unlock()
	}
}

// cache is a connection to memcached; what fails is dialled again.
type cache struct {
	conn net.Conn
	in   *bufio.Reader
}

func (c *cache) say(command string) (line string, err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", cacheAddress, 15*time.Second); err != nil {
			return "", err
		}
		c.in = bufio.NewReader(c.conn)
	}
	_ = c.conn.SetDeadline(time.Now().Add(15 * time.Second)) // longer than the ambassador may take
	if _, err = io.WriteString(c.conn, command); err == nil {
		line, err = c.in.ReadString('\n')
	}
	if err != nil {
		c.conn.Close()
		c.conn = nil
	}
	return strings.TrimSpace(line), err
}

// round writes a key, reads it, and asks the web service.
func (r *report) round(c *cache, n int) {
	key := fmt.Sprint("key-", n%500)
	line, err := c.say("set " + key + " 0 0 5\r\nhello\r\n")
	if err == nil && line != "STORED" {
		err = errors.New("set: " + line)
	}
	r.note(&r.Cache, err)
	line, err = c.say("get " + key + "\r\n")
	switch {
	case err != nil:
	case line == "END":
		r.mu.Lock()
		r.Lost++
		r.mu.Unlock()
	case strings.HasPrefix(line, "VALUE "):
		var rest [2]string
		for i := range rest {
			if rest[i], err = c.in.ReadString('\n'); err != nil {
				break
			}
		}
		if err == nil && rest != [2]string{"hello\r\n", "END\r\n"} {
			err = fmt.Errorf("get: %q", rest)
		}
	default:
		err = errors.New("get: " + line)
	}
	r.note(&r.Cache, err)
	route, err := ask()
	r.note(&r.Web, err)
	r.mu.Lock()
	r.Route = route
	r.mu.Unlock()
}

var client = &http.Client{Timeout: 15 * time.Second}

func ask() (route string, err error) {
	a, err := client.Get(webAddress)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.100s", a.Status, body)
	}
	return a.Header.Get("x-route"), err
}

// began is the program's first moment.
var began = time.Now()

func use([]string) error {
	r, c, ctx := &report{}, &cache{}, told()
	go r.watch()
	r.round(c, 0)
	r.FirstMicros = time.Since(began).Microseconds()
	go func() {
		_ = http.ListenAndServe(":9000", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(r.text()) }))
	}()
	every := time.NewTicker(5 * time.Millisecond)
	for n := 1; ctx.Err() == nil; n++ {
		r.round(c, n)
		<-every.C
	}
	// The application has work to end, as some have: its ambassador must be there.
	time.Sleep(2 * time.Second)
	before := r.Failed
	r.round(c, 1)
	r.LastServed = r.Failed == before
	return os.WriteFile("/dev/termination-log", r.text(), 0o644)
}

func job([]string) error {
	r, c := &report{}, &cache{}
	r.round(c, 0)
	r.FirstMicros = time.Since(began).Microseconds()
	for n := range 20 {
		r.round(c, n)
	}
	if err := os.WriteFile("/dev/termination-log", r.text(), 0o644); err != nil {
		return err
	}
	if r.Failed > 0 {
		return errors.New(r.Last)
	}
	return nil
}
