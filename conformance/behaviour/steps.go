package behaviour

// What a script can do, beside requests (request.go):
//
//	host NAME                 answers of the next requests, a line each (answer.go)
//	host NAME always          the answer of all later ones; first: 200
//	host NAME down|up         refuses connections and resets those it has; listens again
//	host NAME lost|found      its packets vanish; and do not any more
//	host NAME tls CERT […]    speaks TLS with that certificate, and these protocols
//	host NAME raw             reads bytes and says nothing
//	host NAME memcached […]   is a memcached that has KEY=VALUE… (memcached.go)
//	times 20 METHOD TARGET    requests one after another, of which it is counted what came
//	                          of them and which hosts saw them (times.go)
//	copy NAME NAME            moves a copy of a file of $dir into another one's place
//	file NAME                 moves a file of the lines below into its place in $dir
//	dns NAME HOST… [ttl 30s]  what a name stands for from now on (names.go)
//	lookups                   which names were asked for, when, and of whom
//	raw                       the lines below, as they are, to the first listener
//	tcp, tcp NAME             a client that speaks no HTTP (tcp.go)
//	go METHOD TARGET, join    requests side by side
//	wait 3s [counted]         lets time pass; counted: of what hosts saw it is shown how often
//	stats PATTERN…            statistics with a value, by name (* is any text)
//	logs [NAME]               what was logged to $log since the last time; to another file of
//	                          $dir, stdout and stderr, whose loggers write there, among them
//	sockets                   what was asked of the sockets that were opened (sockets.go)
//	frames                    what hosts and clients were sent for the HTTP/2 connection itself
//	warnings                  what was said of the configuration that is live
//	stop inbound|every        listeners accept no more, as of /drain_listeners
//	health fail|ok            as of /healthcheck/fail and /healthcheck/ok
//	flush                     sends the last of the access logs, as at the end
//	apply NAME                makes the part "config NAME" live
//
// What hosts saw is shown below the step in which they saw it.

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy"
)

// run takes one step and gives what was seen.
func (w *world) run(s *Script, st step) (string, error) {
	word, rest, _ := strings.Cut(st.text, " ")
	switch word {
	case "host":
		return "", w.script(rest, st.args)
	case "file":
		return "", w.write(rest, strings.Join(st.file, "\n")+"\n")
	case "copy":
		from, to, _ := strings.Cut(rest, " ")
		return "", w.copy(from, to)
	case "times":
		return w.times(rest, st.args)
	case "dns":
		return "", w.know(rest)
	case "lookups":
		return w.lookups(), nil
	case "go":
		if err := w.begin(step{text: rest, args: st.args}); err != nil {
			return "", err
		}
		return "", w.settle(time.Millisecond) // they come in their order
	case "join":
		return w.join()
	case "wait":
		text, counted := strings.CutSuffix(rest, " counted")
		d, err := time.ParseDuration(text)
		if err == nil {
			err = w.pass(d)
		}
		if counted {
			return w.hostsCounted(), err
		}
		return w.hostsSaw(), err
	case "stats":
		return w.stats(strings.Fields(rest))
	case "logs":
		return w.logged(cmp.Or(rest, "log"))
	case "sockets":
		return shown(&w.asked), nil
	case "frames":
		return shown(&w.framed), nil
	case "warnings":
		var b strings.Builder
		for _, p := range w.warned {
			fmt.Fprintf(&b, "= %s: %s\n", p.Path, p.Text)
		}
		return b.String(), nil
	case "apply":
		err := w.apply(s.Later[rest])
		return w.hostsSaw(), err
	case "stop":
		which := proxy.Every
		if rest == "inbound" {
			which = proxy.Inbound
		}
		return "", w.aside(func() error { w.server.CloseListeners(which); return nil })
	case "health":
		w.server.FailHealthChecks(rest == "fail")
		return "", nil
	case "flush":
		err := w.aside(func() error { w.server.FlushLogs(context.Background()); return nil })
		return w.hostsSaw(), err
	case "tcp":
		return w.talk(rest, st.args)
	case "raw":
		w.begun = append(w.begun, &request{raw: strings.Join(st.args, "\r\n") + "\r\n\r\n", giveUp: patience})
		w.client.Go(func() { w.send(w.begun[0]) })
		return w.join()
	}
	if !regexp.MustCompile(`^[A-Za-z-]+ ?`).MatchString(st.text) {
		return "", fmt.Errorf("no step is called %q", st.text)
	}
	if err := w.begin(st); err != nil {
		return "", err
	}
	return w.join()
}

func (w *world) begin(st step) error {
	r, err := w.parseRequest(st)
	if err != nil {
		return err
	}
	w.begun = append(w.begun, r)
	w.client.Post(func() { w.client.Go(func() { w.send(r) }) })
	return nil
}

// finish waits for what was begun, and if d is not 0 so long for what goes on behind it.
func (w *world) finish(d time.Duration) error {
	err := w.drive(func() bool {
		for _, r := range w.begun {
			if !r.done {
				return false
			}
		}
		return true
	}, 2*patience)
	if err == nil && d > 0 {
		err = w.settle(d)
	}
	return err
}

// join waits for what was begun, and shows it.
func (w *world) join() (string, error) {
	err := w.finish(10 * time.Millisecond)
	var b strings.Builder
	b.WriteString(w.hostsSaw())
	for _, r := range w.begun {
		if r.answer != nil {
			b.WriteString(show("<", "", r.answer, r.took))
		}
	}
	w.begun = nil
	return b.String(), err
}

// hostsSaw shows what hosts saw since the last time.
func (w *world) hostsSaw() string {
	var b strings.Builder
	for _, s := range w.seen {
		b.WriteString(show(">", s.host.name+": ", s.message, 0))
	}
	w.seen = nil
	return b.String()
}

func (w *world) script(what string, lines []string) error {
	name, how, _ := strings.Cut(what, " ")
	h := w.host(name)
	if h == nil {
		return fmt.Errorf("the configuration names no host $%s", name)
	}
	if words := strings.Fields(how); len(words) > 1 && words[0] == "tls" {
		return h.tlsHost(words[1:])
	} else if len(words) > 0 && words[0] == "memcached" {
		return h.memcached(words[1:])
	}
	h.raw = how == "raw"
	switch how {
	case "", "raw":
		h.queue = nil
	case "always":
		if len(lines) != 1 {
			return fmt.Errorf("host %s always: one answer", name)
		}
	case "down":
		h.down()
	case "up":
		return h.up()
	case "lost", "found":
		for _, a := range h.addrs {
			w.sim.Blackhole(a, how == "lost")
		}
	default:
		return fmt.Errorf("a host cannot %q", how)
	}
	for _, line := range lines {
		a, err := parseAnswer(line)
		if err != nil {
			return err
		}
		if how == "always" {
			h.always = a
		} else {
			h.queue = append(h.queue, a)
		}
	}
	return nil
}

// stats shows the statistics that match and are not 0; one that is named in full
// is shown always.
func (w *world) stats(patterns []string) (string, error) {
	var b strings.Builder
	err := w.aside(func() error {
		for _, p := range patterns {
			like := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$")
			found := false
			for _, row := range w.server.Figures().Rows() {
				if h := row.Histogram; h != nil && like.MatchString(row.Name) && (h.Count() > 0 || row.Name == p) {
					found = true
					fmt.Fprintf(&b, "= %s: count %d, sum %d\n", row.Name, h.Count(), h.Sum())
				} else if like.MatchString(row.Name) && (row.Value != 0 || row.Name == p) {
					found = true
					fmt.Fprintf(&b, "= %s: %d\n", row.Name, row.Value)
				}
			}
			if !found {
				fmt.Fprintf(&b, "= %s: none\n", p)
			}
		}
		return nil
	})
	return b.String(), err
}

// logged shows what came to a log; what is buffered is written by then.
func (w *world) logged(name string) (string, error) {
	if err := w.settle(12 * time.Second); err != nil {
		return "", err
	}
	data, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		return "= (no log)\n", nil
	}
	more := string(data[w.logs[name]:])
	w.logs[name] = len(data)
	var b strings.Builder
	for line := range strings.Lines(more) {
		b.WriteString("= " + scrub(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String() + w.hostsSaw(), nil
}
