package corpus

// A configuration comes up: the program serves it, every listener is bound, the
// admin server says that it is live, and a request is answered.

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attache-mesh/attache/proxy/loop/netns/nstest"
)

// within bounds how long a program may take to come up.
const within = time.Minute

// comesUp says what is missing; "" if all came up.
func (s *stage) comesUp(e *entry, doc *yaml.Node) string {
	l := &loopback{host: s.hosts, plane: s.plane.Addr(), s: s.scratch}
	l.rewrite(doc)
	text, err := yaml.Marshal(doc)
	if err != nil {
		return err.Error()
	}
	file := filepath.Join(s.scratch.dir, "up-"+strings.TrimSuffix(e.name, ".yml")+".yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err.Error()
	}
	address := s.scratch.fresh()
	p, err := start(s.program, "-c", file, "--service-node", "corpus", "--service-cluster", "corpus",
		"--admin-address-path", address, "--concurrency", "1", "--drain-time-s", "0")
	if err != nil {
		return err.Error()
	}
	defer p.kill()
	admin, why := p.ready(address)
	if why != "" {
		return why
	}
	bound := listeners(admin)
	if len(bound) < l.asked {
		return fmt.Sprintf("%d of %d listeners are bound", len(bound), l.asked)
	}
	return s.askRoute(doc, bound)
}

// askRoute sends the request of the first route, if there is one that can be told.
func (s *stage) askRoute(doc *yaml.Node, bound []door) string {
	a, i, ok := firstRoute(doc)
	if !ok || i >= len(bound) {
		return ""
	}
	at := bound[i]
	for _, b := range bound {
		if b.name == a.listener {
			at = b
		}
	}
	s.asked++
	if err := s.request(at, a); err != nil {
		return "no answer to GET " + a.path + ": " + err.Error()
	}
	return ""
}

// request wants any answer of HTTP at all.
func (s *stage) request(at door, a ask) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := at.dial(ctx)
			if err == nil && a.proxied {
				_, err = io.WriteString(c, "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n")
			}
			return c, err
		},
		TLSClientConfig: &tls.Config{
			InsecureSkipVerify: true, // any certificate: an answer is what is asked for
			ServerName:         a.sni, Certificates: []tls.Certificate{s.scratch.own},
		},
	}
	defer transport.CloseIdleConnections()
	scheme := "http"
	if a.tls {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://attache.test"+a.path, nil)
	if err != nil {
		return err
	}
	r.Host = a.host
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
	return err
}

// door is where a listener is: its address or path, and the network namespace.
type door struct{ name, addr, namespace string }

func (d door) dial(ctx context.Context) (net.Conn, error) {
	if d.namespace != "" {
		to, err := netip.ParseAddrPort(d.addr)
		if err != nil {
			return nil, err
		}
		return nstest.Dial(d.namespace, to)
	}
	network := "tcp"
	if strings.HasPrefix(d.addr, "/") {
		network = "unix"
	}
	return (&net.Dialer{}).DialContext(ctx, network, d.addr)
}

// listeners are those that the admin server names.
func listeners(admin string) (all []door) {
	r, err := http.Get("http://" + admin + "/listeners?format=json")
	if err != nil {
		return nil
	}
	defer r.Body.Close()
	var page struct {
		Statuses []struct {
			Name    string `json:"name"`
			Address struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
					In      string `json:"network_namespace_filepath"`
				} `json:"socket_address"`
				Pipe struct {
					Path string `json:"path"`
				} `json:"pipe"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if json.NewDecoder(r.Body).Decode(&page) != nil {
		return nil
	}
	for _, l := range page.Statuses {
		addr := l.Address.Pipe.Path
		if addr == "" {
			addr = net.JoinHostPort(l.Address.Socket.Address, fmt.Sprint(l.Address.Socket.Port))
		}
		all = append(all, door{l.Name, addr, l.Address.Socket.In})
	}
	return all
}

// process is the program under test.
type process struct {
	cmd    *exec.Cmd
	said   *said
	exited chan struct{}
}

type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

// last is the end of what was said.
func (s *said) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(s.buf.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " / ")
}

func start(argv ...string) (*process, error) {
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), said: &said{}, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// ready waits until the admin server says so, and gives its address.
func (p *process) ready(file string) (admin, why string) {
	late := time.After(within)
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		if addr, err := os.ReadFile(file); err == nil && len(addr) > 0 {
			if r, err := http.Get("http://" + string(addr) + "/ready"); err == nil {
				r.Body.Close()
				if r.StatusCode == http.StatusOK {
					return string(addr), ""
				}
			}
		}
		select {
		case <-p.exited:
			return "", "it ended: " + p.said.last()
		case <-late:
			return "", fmt.Sprintf("not ready within %v: %s", within, p.said.last())
		case <-every.C:
		}
	}
}
