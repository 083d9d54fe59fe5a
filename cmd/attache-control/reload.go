package main

// Changes of the file while the program runs.

import (
	"context"
	"crypto/sha256"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/attache-mesh/attache/xds/server/ambassador"
)

const (
	// still is how long the directory of the file must be quiet before the file
	// is read: an editor's save is several events.
	still = 20 * time.Millisecond
	// lookEvery is how often the file is looked at without an event.
	lookEvery = 5 * time.Second
)

// fileState is what is known of the file. Any goroutine.
type fileState struct {
	mu       sync.Mutex
	current  *loaded
	refused  [sha256.Size]byte // content that was refused last
	problems []string          // of it; nil when the file is good
	since    time.Time         // when it was refused
	restart  []string          // settings that differ from those in use until a restart
	reloads  uint64
	failures uint64
}

func (s *fileState) config() *loaded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *fileState) use(l *loaded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = l
}

// read notes that the file as it is now is what is used.
func (s *fileState) read() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems, s.refused = nil, [sha256.Size]byte{}
	s.reloads++
}

// refuse keeps why a content is not used; false if that is known.
func (s *fileState) refuse(sum [sha256.Size]byte, problems []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == sum && s.problems != nil {
		return false
	}
	s.refused, s.problems, s.since = sum, problems, time.Now()
	s.failures++
	return true
}

// good forgets what was refused: the file is again what is in use.
func (s *fileState) good() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems, s.refused = nil, [sha256.Size]byte{}
}

// watchFile reads the file when its directory changes, and every few seconds,
// until ctx is done. A content that is refused changes nothing.
func (p *program) watchFile(ctx context.Context) {
	first := p.file.config().config.Server
	var events chan fsnotify.Event
	var missed chan error
	if w, err := fsnotify.NewWatcher(); err != nil {
		p.log.Warn("the file is looked at every few seconds only", "error", err)
	} else {
		defer w.Close()
		if err := w.Add(filepath.Dir(p.f.configPath)); err != nil {
			p.log.Warn("the file is looked at every few seconds only", "error", err)
		}
		events, missed = w.Events, w.Errors
	}
	readAfter(ctx, events, missed, func() { p.readAgain(&first) })
}

// readAfter reads when events have come and then none for a moment, and every
// few seconds, until ctx is done. An error of the watch (its queue was full, and
// events are lost) counts as an event; left untaken it would hold up all others.
func readAfter(ctx context.Context, events <-chan fsnotify.Event, missed <-chan error, read func()) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var quiet <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			quiet = time.After(still)
		case <-missed:
			quiet = time.After(still)
		case <-quiet:
			quiet = nil
			read()
		case <-look.C:
			read()
		}
	}
}

// readAgain takes the file's content if it is new and good.
func (p *program) readAgain(first *ambassador.Server) {
	doc, err := readBounded(p.f.configPath)
	if err != nil {
		if p.file.refuse(sha256.Sum256([]byte(err.Error())), []string{err.Error()}) {
			p.log.Error("configuration is not read; the one before stays", "error", err)
		}
		return
	}
	p.taking.Lock()
	defer p.taking.Unlock()
	before := p.file.config()
	sum := sha256.Sum256(doc)
	if sum == before.sum {
		p.file.good()
		return
	}
	l, problems := loadDoc(doc, p.f, before)
	if l == nil {
		p.refuseDoc(sum, problems)
		return
	}
	p.takeFile(l)
	restart := changedServer(first, &l.config.Server)
	p.file.mu.Lock()
	p.file.restart = restart
	p.file.mu.Unlock()
	p.log.Info("configuration read", "path", p.f.configPath, "ambassadors", len(l.config.Ambassadors), "services", len(l.config.Services()))
	if len(restart) > 0 {
		p.log.Warn("settings that need a restart have changed", "fields", restart)
	}
}

func (p *program) refuseDoc(sum [sha256.Size]byte, problems []ambassador.Problem) {
	var lines []string
	for _, one := range problems {
		lines = append(lines, one.String())
	}
	if !p.file.refuse(sum, lines) {
		return
	}
	for _, line := range lines {
		p.log.Error("configuration is refused; the one before stays", "path", p.f.configPath, "problem", line)
	}
}

// changedServer names the fields of server that differ: the port and its limits
// are made once.
func changedServer(a, b *ambassador.Server) (fields []string) {
	x, y := reflect.ValueOf(*a), reflect.ValueOf(*b)
	for i := range x.NumField() {
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			fields = append(fields, "server."+x.Type().Field(i).Tag.Get("yaml"))
		}
	}
	return fields
}
