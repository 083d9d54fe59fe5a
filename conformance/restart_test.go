package conformance

// Hot restarts under load: every request of every client is answered, whichever process
// it came to.

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// restartConfig has HTTP on a port and on a unix socket, and memcached.
func restartConfig(admin, web, unix, cache, backend, shard string) string {
	text := httpConfig(admin, socketAddress(web), backend)
	http, rest, _ := strings.Cut(text, "  - name: web\n")
	listener, clusters, _ := strings.Cut(rest, "  clusters:\n")
	second := strings.Replace(listener, socketAddress(web), pipe(unix), 1)
	return http + "  - name: web\n" + listener + "  - name: unix\n" + second + fmt.Sprintf(`  - name: cache
    address: {%s}
    filter_chains:
    - filters:
      - name: attache.filters.network.memcached_proxy
        typed_config:
          "@type": type.googleapis.com/attache.filters.network.memcached_proxy.v1.MemcachedProxy
          stat_prefix: cache
          settings: {op_timeout: 2s}
          prefix_routes: {catch_all_route: {cluster: cache}}
  clusters:
  - name: cache
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: cache
      endpoints: [{lb_endpoints: [{endpoint: {address: {%s}}}]}]
`, socketAddress(cache), socketAddress(shard)) + clusters
}

// line is a program that is restarted hot, again and again.
type line struct {
	*testing.T
	config, name     string
	admin, web, unix string
	cache            string
	epoch            int
	now, before      *process
}

func newLine(t *testing.T) *line {
	t.Helper()
	l := &line{T: t, admin: freeAddr(t), web: freeAddr(t), cache: freeAddr(t), unix: filepath.Join(t.TempDir(), "web.sock")}
	l.name = "@attache-test-" + strconv.Itoa(os.Getpid()) + "-" + l.web
	shard := freeAddr(t)
	_, port, _ := net.SplitHostPort(shard)
	argv := []string{"memcached", "-t", "1", "-U", "0", "-l", "127.0.0.1", "-p", port}
	if os.Geteuid() == 0 {
		argv = append(argv, "-u", "root")
	}
	memcached := launch(t, argv...)
	memcached.serving("tcp", shard)
	l.config = write(t, restartConfig(l.admin, l.web, l.unix, l.cache, fastHello(t), shard))
	return l
}

// fastHello answers every request of a connection with "hello".
func fastHello(t *testing.T) string {
	t.Helper()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil
		_, _ = w.Write([]byte("hello"))
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

// start runs the next epoch and waits until it has taken over.
func (l *line) start(args ...string) {
	l.Helper()
	l.before = l.now
	argv := []string{
		program(l.T, "./cmd/attache"), "-c", l.config, "--restart-epoch", strconv.Itoa(l.epoch), "--socket-path", l.name, "--drain-time-s", "1",
	}
	l.now = launch(l.T, append(argv, args...)...)
	epoch := strconv.Itoa(l.epoch)
	until(l.T, "epoch "+epoch+" serves", func() bool {
		select {
		case <-l.now.exited:
			l.Fatalf("epoch %s ended: %s", epoch, &l.now.said)
		default:
		}
		return l.stat("server.hot_restart_epoch") == epoch
	})
	l.epoch++
}

// stat is a statistic as the admin server says it; "" if it cannot be asked.
func (l *line) stat(name string) string {
	resp, err := http.Get("http://" + l.admin + "/stats?filter=^" + strings.ReplaceAll(name, ".", `\.`) + "$")
	if err != nil {
		return ""
	}
	text, err := body(resp.Body)
	if err != nil {
		return ""
	}
	_, value, _ := strings.Cut(strings.TrimSpace(text), ": ")
	return value
}

// TestHotRestart: clients of every kind are served through several restarts, by as many
// workers as each process likes, and what was counted goes on.
func TestHotRestart(t *testing.T) {
	restarts, rate := number(t, "ATTACHE_RESTARTS", 5), number(t, "ATTACHE_RATE", 300)
	l := newLine(t)
	l.start("--concurrency", "2")
	load := newRestartLoad(l)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	load.start(ctx, rate)
	began := time.Now()
	until(t, "100 answers", func() bool { return load.answers.Load() >= 100 })
	for i := range restarts {
		l.start("--concurrency", strconv.Itoa(1+i%3), "--parent-shutdown-time-s", "2")
		before := load.answers.Load()
		until(t, "half a second's answers", func() bool { return load.answers.Load() >= before+int64(rate)/2 })
		if l.before.code(10*time.Second) != 0 {
			t.Fatalf("the process before ended badly: %s", &l.before.said)
		}
	}
	stop()
	load.workers.Wait()
	took := time.Since(began)
	t.Logf("%d restarts, %d requests in %v (%.0f/s): %d failed; %d connections made, %d of them told to go, %d memcached requests asked again on a closed connection; slowest answer %v",
		restarts, load.answers.Load(), took.Round(time.Millisecond), float64(load.answers.Load())/took.Seconds(), load.failed.Load(),
		load.dialed.Load(), load.closes.Load(), load.again.Load(), time.Duration(load.slowest.Load()).Round(time.Millisecond))
	if fault := load.fault.Load(); fault != nil {
		t.Errorf("the first failure: %v", *fault)
	}
	for name, want := range map[string]string{"server.hot_restart_epoch": strconv.Itoa(restarts), "server.hot_restart_generation": strconv.Itoa(restarts + 1)} {
		if got := l.stat(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	counted, err := strconv.ParseInt(l.stat("http.web.downstream_rq_completed"), 10, 64)
	if sent := load.http.Load(); err != nil || counted < sent {
		t.Errorf("%d requests are counted in all epochs, %d were sent", counted, sent)
	}
}

// TestHotRestartNobodyBefore: without a process before there is no start, unless it was
// said that this does not matter; and a process of the same epoch is in the way.
func TestHotRestartNobodyBefore(t *testing.T) {
	l := newLine(t)
	l.epoch = 1
	argv := []string{"-c", l.config, "--restart-epoch", "1", "--socket-path", l.name}
	code, said := attache(t, argv...)
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	mustHave(t, said, "no process with --restart-epoch 0")
	l.start("--skip-hot-restart-on-no-parent")
	code, said = attache(t, append(argv, "--skip-hot-restart-on-no-parent")...)
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	mustHave(t, said, "in use")
}

// TestHotRestartChildFails: the old process goes on as if nobody had come.
func TestHotRestartChildFails(t *testing.T) {
	l := newLine(t)
	l.start()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bad := write(t, httpConfig(l.admin, socketAddress(taken.Addr().String()), "127.0.0.1:1"))
	code, said := attache(t, "-c", bad, "--restart-epoch", "1", "--socket-path", l.name)
	if code != 1 {
		t.Errorf("exit code %d, want 1:\n%s", code, said)
	}
	for _, at := range [][2]string{{"tcp", l.web}, {"unix", l.unix}, {"tcp", l.admin}} {
		l.now.serving(at[0], at[1])
	}
	if resp, err := http.Get("http://" + l.admin + "/ready"); err != nil || resp.StatusCode != 200 {
		t.Errorf("/ready: %v, %v", resp, err)
	}
	l.start()
}

// TestHotRestartParentHangs: a process before that does not answer holds nobody up for
// longer than it takes to know.
func TestHotRestartParentHangs(t *testing.T) {
	l := newLine(t)
	l.start()
	l.now.signal(syscall.SIGSTOP)
	next := launch(t, program(t, "./cmd/attache"), "-c", l.config, "--restart-epoch", "1", "--socket-path", l.name)
	until(t, "the next one serves", func() bool { return strings.Contains(next.said.String(), `msg=serving`) })
	mustHave(t, next.said.String(), "cannot be spoken with")
	if err := l.now.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-l.now.exited
	until(t, "the admin server answers", func() bool { return l.stat("server.hot_restart_epoch") == "1" })
	next.serving("unix", l.unix)
}

func number(t *testing.T, variable string, otherwise int) int {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}
