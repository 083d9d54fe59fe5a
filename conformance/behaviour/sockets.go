package behaviour

// What is seen of a connection itself: what was asked of its socket, for there is no
// kernel that would do it, and HTTP/2's frames that belong to no stream.
//
//	sockets
//	= listen 10.0.0.1:10000: backlog 7, keep-alive after 30s every 5s 3 times
//	= connect web:80: user time-out 3s
//	= connect web:80: from 10.9.9.2, in /run/netns/a, freebind, option 1/36=7
//	frames
//	= web: SETTINGS 3=100 65280=7
//	= web: PING at 30s

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/net/http2"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// shown gives the lines, and there are none any more.
func shown(lines *[]string) string {
	var b strings.Builder
	for _, line := range *lines {
		b.WriteString("= " + line + "\n")
	}
	if b.Len() == 0 {
		b.WriteString("= (none)\n")
	}
	*lines = nil
	return b.String()
}

// socket notes one that the data plane has opened.
func (w *world) socket(asked loop.SocketAsked) {
	if asked.Worker != "proxy" {
		return
	}
	what := "listen " + asked.Address.Place()
	if asked.Connect {
		what = "connect " + w.hostName(asked.Address)
	}
	var told []string
	if asked.Backlog != 0 {
		told = append(told, fmt.Sprint("backlog ", asked.Backlog))
	}
	if asked.Freebind {
		told = append(told, "freebind")
	}
	if from := asked.From; from != nil {
		told = append(told, fromText(from)...)
	}
	if asked.Shared != nil {
		told = append(told, "one for all workers")
	}
	if asked.Multipath {
		told = append(told, "MPTCP")
	}
	if asked.AcceptsPerTurn != 0 {
		told = append(told, fmt.Sprint("at most ", asked.AcceptsPerTurn, " at once"))
	}
	told = append(told, keepaliveText(asked.Socket.Keepalive)...)
	for _, o := range asked.Socket.Options {
		told = append(told, optionText(o))
	}
	if len(told) == 0 {
		told = []string{"as the system has it"}
	}
	w.asked = append(w.asked, what+": "+strings.Join(told, ", "))
}

func fromText(from *config.LocalAddress) (told []string) {
	if from.Address.IsValid() {
		told = append(told, "from "+from.Address.Addr().String())
	}
	if from.Namespace != "" {
		told = append(told, "in "+from.Namespace)
	}
	if from.Free {
		told = append(told, "freebind")
	}
	for _, o := range from.Options {
		told = append(told, optionText(o))
	}
	return told
}

func optionText(o config.SocketOption) string {
	v := fmt.Sprint(o.Value)
	if o.Bytes != "" {
		v = fmt.Sprintf("%q", o.Bytes)
	}
	return fmt.Sprintf("option %d/%d=%s%s", o.Level, o.Name, v, [...]string{"", " when bound", " when listening"}[o.When])
}

func keepaliveText(k config.Keepalive) (told []string) {
	if k.Enabled {
		text := "keep-alive"
		if k.Idle != 0 {
			text += fmt.Sprint(" after ", k.Idle)
		}
		if k.Interval != 0 {
			text += fmt.Sprint(" every ", k.Interval)
		}
		if k.Probes != 0 {
			text += fmt.Sprint(" ", k.Probes, " times")
		}
		told = append(told, text)
	}
	if k.UserTimeout != 0 {
		told = append(told, fmt.Sprint("user time-out ", k.UserTimeout))
	}
	return told
}

// hostName is an address with the name of the host that has it.
func (w *world) hostName(a config.Address) string {
	for i, h := range w.hosts {
		if a.IP.Addr() == hostIP(i) {
			return fmt.Sprint(h.name, ":", a.IP.Port())
		}
	}
	return a.String()
}

// frame notes one that a peer of the data plane was sent.
func (w *world) frame(to string, f http2.Frame) {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		text := to + ": SETTINGS"
		_ = f.ForeachSetting(func(s http2.Setting) error {
			text += fmt.Sprintf(" %d=%d", s.ID, s.Val)
			return nil
		})
		w.framed = append(w.framed, text)
	case *http2.PingFrame:
		w.framed = append(w.framed, to+": PING at "+w.sim.Now().Round(time.Millisecond).String())
	case *http2.GoAwayFrame:
		last := fmt.Sprint(f.LastStreamID)
		if f.LastStreamID == 1<<31-1 {
			last = "any"
		}
		w.framed = append(w.framed, to+": GOAWAY "+f.ErrCode.String()+" after "+last+" at "+w.sim.Now().Round(time.Millisecond).String())
	}
}
