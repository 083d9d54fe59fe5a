package server

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/scripts")

// A script is a conversation. Lines that are not indented are done in turn;
// after each come, indented, what every client got and what the server told
// its hooks. Time is virtual.
//
//	publish GROUP type:name=content…   the group's whole bundle
//	open STREAM delta|sotw NODE PROGRAM/VERSION [TYPE]
//	STREAM asks TYPE [name…]           delta: subscribes; sotw: names all
//	STREAM drops TYPE name…            delta: unsubscribes
//	STREAM has TYPE name=content…      said in the next request of the type
//	STREAM acks TYPE
//	STREAM nacks TYPE message          \n in it is a new line
//	STREAM ends
//	move GROUP GROUP                   what selects the one selects the other
//	remove GROUP
//	clients, held                      status
//	wait DURATION
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, string(script)) })
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(script), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// stage is where a script is played.
type stage struct {
	server *Server
	out    strings.Builder
	told   []string // by the hooks, since the last line
	actors []*actor
	moved  map[string]string
}

func play(t *testing.T, script string) string {
	s := &stage{moved: map[string]string{}}
	s.server = New(Options{
		Select: func(node *core.Node, _ bool) (string, error) {
			if node.GetCluster() == "" {
				return "", errors.New("no ambassador is for it")
			}
			if to := s.moved[node.GetCluster()]; to != "" {
				return to, nil
			}
			return node.GetCluster(), nil
		},
		Limits: Limits{StreamWait: time.Second, Names: 20, NameLength: 80},
		Events: Events{
			Quarantined: func(q Quarantine) { s.tell("held %s", spell(q)) },
			Released:    func(q Quarantine, why string) { s.tell("released %s: %s", spell(q), why) },
			Settled:     func(e Settled) { s.tell("settled %s %d after %v", e.Group, e.Generation, e.At.Sub(e.Published)) },
		},
	})
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		s.out.WriteString(line)
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			if err := s.do(words, strings.TrimSpace(line)); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		s.print()
	}
	for _, a := range s.actors {
		a.end()
	}
	s.server.Stop(0)
	return s.out.String()
}

func (s *stage) do(words []string, line string) error {
	switch words[0] {
	case "publish":
		b, err := parseBundle(words[2:])
		if err != nil {
			return err
		}
		s.server.Publish(words[1], b)
		return nil
	case "open":
		a := newActor(s.server, words[1:])
		s.actors = append(s.actors, a)
		return nil
	case "wait":
		d, err := time.ParseDuration(words[1])
		time.Sleep(d)
		return err
	case "move":
		s.moved[words[1]] = words[2]
		s.server.Reselect()
		return nil
	case "remove":
		s.server.Remove(words[1])
		return nil
	case "clients":
		s.clients()
		return nil
	case "held":
		for _, q := range s.server.Quarantined() {
			s.tell("%s since %v by %s", spell(q), time.Since(q.Since), q.Node)
		}
		return nil
	}
	for _, a := range s.actors {
		if a.name == words[0] {
			return a.do(words[1:], line)
		}
	}
	return errors.New("no such command or stream")
}

// print shows what came of a line, once nothing moves any more.
func (s *stage) print() {
	synctest.Wait()
	for _, said := range s.told {
		fmt.Fprintf(&s.out, "\t%s\n", said)
	}
	s.told = nil
	for _, a := range s.actors {
		for _, said := range a.heard() {
			fmt.Fprintf(&s.out, "\t%s %s\n", a.name, said)
		}
	}
}

func (s *stage) tell(format string, args ...any) {
	s.told = append(s.told, fmt.Sprintf(format, args...))
}

func (s *stage) clients() {
	for _, c := range s.server.Clients() {
		s.tell("%s %s %s %s", c.Node, c.Program, c.Group, c.Protocol)
		for _, t := range c.Types {
			state := "waits for an ACK"
			switch {
			case t.Error != "":
				state = "refused: " + t.Error
			case t.Acked == t.Version:
				state = "accepted"
			}
			s.tell("  %s names=%d all=%v has=%d responses=%d %s", shortType(t.TypeURL), t.Names, t.All, t.Has, t.Responses, state)
		}
	}
}

func spell(q Quarantine) string {
	text := fmt.Sprintf("%s %s %s:%s", q.Group, q.Client, shortType(q.TypeURL), q.Name)
	if q.Good != "" {
		text += " (an older one stays)"
	}
	if q.Alone {
		text += " from " + q.Node + " alone"
	}
	if q.Field != "" {
		text += " field " + q.Field
	}
	return text + fmt.Sprintf(" %q", q.Reason)
}
