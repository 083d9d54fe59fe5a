// Package accesslog writes what is known of a request, or of a connection, to
// files, to the program's own output and to gRPC services (Envoy
// source/common/access_log, extensions/access_loggers/file, stream, grpc).
//
//	worker: Log.Write ─▶ filter ─▶ format ─▶ the file's page of this worker
//	                                             │ full, or a second old
//	an ordinary goroutine of the file ◀── queue ─┘ ─▶ write(2)
//
// A worker only appends to memory of its own; a page that finds the queue full is
// dropped and counted, so that a disk that stalls costs entries and not requests.
package accesslog

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match/cel"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Log is the logs of one connection manager, TCP proxy or listener, compiled.
// Immutable; Write is called on workers.
type Log struct {
	loggers []logger
	needs   format.Needs
}

type logger struct {
	filter *Filter // nil: all entries
	body   *format.Body
	file   *File
	grpc   *service // nil: body goes to file
}

// New compiles logs; nil if there are none. Their files are opened in files, and
// given back by Close. Errors name the file.
func New(asked []config.AccessLog, files *Files) (*Log, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	l := &Log{needs: format.NeedsSomething}
	for i := range asked {
		a := &asked[i]
		var g logger
		if a.GRPC != nil {
			g.grpc = newService(a.GRPC, files)
			l.needs |= g.grpc.needs()
		} else {
			f, err := files.Open(a.Path)
			if err != nil {
				l.Close()
				return nil, err
			}
			g = logger{body: format.CompileBody(&a.Format, cel.Format), file: f}
			l.needs |= g.body.Needs()
		}
		if a.Filter != nil {
			g.filter = NewFilter(a.Filter)
			l.needs |= g.filter.needs
		}
		l.loggers = append(l.loggers, g)
	}
	return l, nil
}

// Needs says what is looked at when an entry is written; nil logs look at nothing.
func (l *Log) Needs() format.Needs {
	if l == nil {
		return 0
	}
	return l.needs
}

// Write writes an entry to each log whose filter lets it pass. It never waits. On
// worker w.
func (l *Log) Write(w *loop.Worker, v *streaminfo.View) {
	for i := range l.loggers {
		if g := &l.loggers[i]; g.filter == nil || g.filter.Pass(v, w.Rand()) {
			if g.grpc != nil {
				g.grpc.write(w, v)
				continue
			}
			p := g.file.on(w)
			p.begin(w)
			p.buf = g.body.Append(p.buf, v)
			p.end(w)
		}
	}
}

// Close gives the files back: what was written goes out. Any goroutine, once.
func (l *Log) Close() {
	if l == nil {
		return
	}
	for i := range l.loggers {
		if g := &l.loggers[i]; g.grpc != nil {
			g.grpc.closed.Store(true) // each worker finds it when it would send
			g.grpc.set.part(g.grpc)
		} else {
			g.file.release()
		}
	}
}
