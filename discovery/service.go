package discovery

// How a service is written, and read.

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxService is how long a written service may be, in bytes.
const maxService = 1024

// ParseService reads
//
//	source "://" name [ ":" port ] [ "?" key "=" value { "&" key "=" value } ]
//
// as in "consul://sessions?tag=prod". The source is a lower-case word; the name
// is of letters, digits and "._~-", in parts parted by "/"; the port is a number
// from 1 to 65535 or a lower-case name. Parameters are sorted, so that two ways
// to write one service are one service. Everything else is refused: what a
// source then makes of name, port and parameters, its Check says. Any goroutine.
func ParseService(text string) (Service, error) {
	s, err := parseService(text)
	if err != nil {
		return Service{}, fmt.Errorf("service %.100q: %w", text, err)
	}
	return s, nil
}

func parseService(text string) (s Service, err error) {
	if len(text) > maxService {
		return s, fmt.Errorf("%d bytes, at most %d", len(text), maxService)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !isScheme(scheme) {
		return s, errors.New(`wants a source and "://" first, as in "file://sessions"`)
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	name, port, hasPort := strings.Cut(rest, ":")
	switch {
	case !isName(name):
		return s, fmt.Errorf("name %.100q: wants letters, digits and \"._~-\", in parts parted by single \"/\"", name)
	case hasPort && !isPort(port):
		return s, fmt.Errorf("port %.100q: wants a number from 1 to 65535 or a lower-case name", port)
	}
	if hasQuery {
		if query, err = canonicalQuery(query); err != nil {
			return s, fmt.Errorf("parameters: %w", err)
		}
	}
	return Service{Source: scheme, Name: name, Port: port, Query: query}, nil
}

// String writes the service as ParseService reads it.
func (s Service) String() string {
	text := s.Source + "://" + s.Name
	if s.Port != "" {
		text += ":" + s.Port
	}
	if s.Query != "" {
		text += "?" + s.Query
	}
	return text
}

// Parameters are the query's, decoded; those of a service that ParseService
// made are well formed. The caller owns the map.
func (s Service) Parameters() url.Values {
	v, _ := url.ParseQuery(s.Query)
	return v
}

func isScheme(s string) bool {
	return s != "" && isLower(s[0]) && each(s, func(c byte) bool { return isLower(c) || isDigit(c) || c == '-' })
}

func isName(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part == "." || part == ".." || !each(part, isNameByte) {
			return false
		}
	}
	return true
}

func isNameByte(c byte) bool {
	return isLower(c|0x20) || isDigit(c) || strings.IndexByte("._~-", c) >= 0
}

// isPort knows the name of a port as Kubernetes writes it: a DNS label with a
// letter in it.
func isPort(s string) bool {
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return n > 0 && s[0] != '0'
	}
	return len(s) <= 63 && strings.Trim(s, "-") == s && strings.ContainsFunc(s, unicode.IsLower) &&
		each(s, func(c byte) bool { return isLower(c) || isDigit(c) || c == '-' })
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func each(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

// canonicalQuery sorts parameters by key and value, and encodes them one way.
func canonicalQuery(query string) (string, error) {
	if strings.Contains(query, "#") {
		return "", errors.New(`"#" wants to be written %23`)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", err
	}
	if len(values) == 0 {
		return "", errors.New(`none after "?"`)
	}
	for key, of := range values {
		slices.Sort(of)
		switch {
		case key == "":
			return "", errors.New("one has no name")
		case len(slices.Compact(slices.Clone(of))) < len(of):
			return "", fmt.Errorf("%.100q twice with the same value", key)
		case !isPrintable(key) || slices.ContainsFunc(of, func(v string) bool { return !isPrintable(v) }):
			return "", fmt.Errorf("%.100q: wants printable text", key)
		}
	}
	canonical := values.Encode()
	if len(canonical) > maxService {
		return "", fmt.Errorf("%d bytes once encoded, at most %d", len(canonical), maxService)
	}
	return canonical, nil
}

func isPrintable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
