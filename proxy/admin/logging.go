package admin

// /logging (server/admin/logs_handler.cc).

import (
	"errors"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// levels are spdlog's, as Envoy names them.
var levels = []string{"trace", "debug", "info", "warning", "error", "critical", "off"}

// change is a logger, or all of them if name is "", and its new level.
type change struct{ name, level string }

func (s *Server) logging(q *fasthttp.Args) answer {
	var b strings.Builder
	status := fasthttp.StatusOK
	if err := s.setLevels(q); err != nil {
		status = fasthttp.StatusBadRequest
		b.WriteString("error: " + err.Error() + "\n\n" +
			"usage: /logging?<name>=<level> (change single level)\n" +
			"usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n" +
			"usage: /logging?level=<level> (change all levels)\n" +
			"levels: " + strings.Join(levels, " ") + " \n")
	}
	b.WriteString("active loggers:\n")
	for _, l := range s.views.Loggers() {
		b.WriteString("  " + l.Name + ": " + l.Level + "\n")
	}
	b.WriteString("\n")
	return answer{status: status, body: []byte(b.String())}
}

// setLevels checks every change before the first is made.
func (s *Server) setLevels(q *fasthttp.Args) error {
	changes, err := changesOf(q)
	if err != nil {
		return err
	}
	known := s.views.Loggers()
	for _, c := range changes {
		if !slices.Contains(levels, c.level) {
			return errors.New("unknown logger level")
		}
		if c.name != "" && !slices.ContainsFunc(known, func(l LoggerView) bool { return l.Name == c.name }) {
			return errors.New("unknown logger name")
		}
	}
	for _, c := range changes {
		if !s.views.SetLogLevel(c.name, c.level) {
			return errors.New("unknown logger name")
		}
	}
	return nil
}

// changesOf reads ?level=, ?paths= or ?<name>=; one of them only.
func changesOf(q *fasthttp.Args) (all []change, err error) {
	for key, value := range q.All() {
		switch k, v := string(key), string(value); {
		case (k == "level" || k == "paths") && v == "":
			continue // as an HTML form sends what was left empty
		case len(all) > 0:
			return nil, errors.New("invalid number of parameters")
		case k == "level":
			all = []change{{"", v}}
		case k == "paths":
			if all, err = paths(v); err != nil {
				return nil, err
			}
		case k == "":
			return nil, errors.New("empty logger name or empty logger level")
		default:
			all = []change{{k, v}}
		}
	}
	return all, nil
}

// paths reads "name1:level1,name2:level2".
func paths(text string) (all []change, err error) {
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, level, _ := strings.Cut(pair, ":")
		if name == "" || level == "" {
			return nil, errors.New("empty logger name or empty logger level")
		}
		all = append(all, change{name, level})
	}
	return all, nil
}

// reopenLogs is what whoever moves log files away calls.
func (s *Server) reopenLogs(*fasthttp.Args) answer {
	s.views.ReopenLogs()
	return answer{body: []byte("OK\n")}
}
