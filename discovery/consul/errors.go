package consul

// What goes wrong, in one line that holds no secret.

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/hashicorp/consul/api"
)

// Error is why Consul gave no answer, or none that can be used.
type Error struct {
	Name   string // of the service, or what else was asked for
	Status int    // of HTTP; 0 if it is not what was wrong
	Text   string

	late bool // time ran out
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("consul: %s: status %d: %s", e.Name, e.Status, e.Text)
	}
	return fmt.Sprintf("consul: %s: %s", e.Name, e.Text)
}

// Unwrap tells only whether time ran out: what else was wrong may hold what Text
// leaves out.
func (e *Error) Unwrap() error {
	if e.late {
		return context.DeadlineExceeded
	}
	return nil
}

// failure puts err in Consul's own words, on one line of bounded length.
func failure(name string, err error) *Error {
	if status, ok := errors.AsType[api.StatusError](err); ok {
		return &Error{Name: name, Status: status.Code, Text: line(status.Body)}
	}
	if at, ok := errors.AsType[*url.Error](err); ok {
		err = at.Err // the address and the parameters are known
	}
	return &Error{Name: name, Text: line(err.Error()), late: errors.Is(err, context.DeadlineExceeded)}
}

const maxLine = 300

func line(text string) string {
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}
