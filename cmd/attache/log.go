package main

import (
	"fmt"
	"io"
	"log/slog"
)

// levels are Envoy's names; trace and critical have no level of their own in
// slog.
var levels = [...]struct {
	name  string
	level slog.Level
}{
	{"trace", slog.LevelDebug - 4},
	{"debug", slog.LevelDebug},
	{"info", slog.LevelInfo},
	{"warning", slog.LevelWarn},
	{"warn", slog.LevelWarn},
	{"error", slog.LevelError},
	{"critical", slog.LevelError + 4},
	{"off", slog.LevelError + 100},
}

func slogLevel(name string) (slog.Level, error) {
	for _, l := range levels {
		if l.name == name {
			return l.level, nil
		}
	}
	return 0, fmt.Errorf("log level %q: want trace, debug, info, warning, error, critical or off", name)
}

// levelName gives Envoy's name of a level.
func levelName(level slog.Level) string {
	for _, l := range levels {
		if l.level == level {
			return l.name
		}
	}
	return level.String()
}

// newLog writes text lines to w, at a level that can change while it runs.
func newLog(w io.Writer, name string) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	l, _ := slogLevel(name)
	level.Set(l)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), level
}
