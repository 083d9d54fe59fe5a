package behaviour

// What a host does with a request: a line of items, done one after the other.
//
//	200                     the status; 1xx goes out at once, before the next one
//	x-a: b                  a field
//	body TEXT, bytes N      a piece of the body; also hex DIGITS
//	trailer x-a: b          a trailer
//	grpc TYPE JSON          a whole answer of a gRPC service (grpc.go)
//	delay 2s                waits before it goes on
//	proc TEXT               waits for a gRPC message, and sends the one that TEXT is: a
//	                        ProcessingResponse of ext_proc; without TEXT it sends none
//	say TEXT                sends it without waiting
//	whole                   waits for the end of the request
//	hang                    answers nothing, or nothing more
//	reset, close            ends the connection, or the stream
//	last                    closes the connection once the answer is out (HTTP/1)
//	early                   does not wait for the request's body
//
// Without a field content-length or transfer-encoding a body of one piece has a
// length, another is chunked.

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// piece is one item of an answer.
type piece struct {
	kind  string // head, body, delay, hang, reset, close
	head  *message
	body  string
	delay time.Duration
}

// answer is an answer's items, the heads complete with framing.
type answer struct {
	pieces   []piece
	trailers []field
	status   int // of the last head
	chunked  bool
	early    bool
	last     bool
}

func parseAnswer(line string) (*answer, error) {
	a := &answer{}
	var head *message
	bodies, breaks := 0, false
	for _, item := range strings.Split(line, " | ") {
		word, rest, _ := strings.Cut(strings.TrimSpace(item), " ")
		switch status, err := strconv.Atoi(word); {
		case err == nil && rest == "":
			head = &message{start: word}
			a.status = status
			a.pieces = append(a.pieces, piece{kind: "head", head: head})
		case word == "delay":
			d, err := time.ParseDuration(rest)
			if err != nil {
				return nil, err
			}
			a.pieces = append(a.pieces, piece{kind: "delay", delay: d})
		case word == "grpc":
			if err := a.sayGRPC(rest); err != nil {
				return nil, err
			}
		case word == "proc", word == "say":
			p, err := procPiece(rest)
			if err != nil {
				return nil, err
			}
			if word == "say" {
				p.kind = "body"
			}
			bodies += 2 // no length is known
			a.early = true
			a.pieces = append(a.pieces, p)
		case word == "early":
			a.early = true
		case word == "last":
			a.last = true
		case word == "whole":
			a.pieces = append(a.pieces, piece{kind: word})
		case word == "hang" || word == "reset" || word == "close":
			breaks = bodies > 0
			a.pieces = append(a.pieces, piece{kind: word})
		case word == "body" || word == "bytes" || word == "hex":
			text, err := bodyOf(word, rest)
			if err != nil {
				return nil, err
			}
			bodies++
			a.pieces = append(a.pieces, piece{kind: "body", body: text})
		case word == "trailer":
			f, err := parseField(rest)
			if err != nil {
				return nil, err
			}
			a.trailers = append(a.trailers, f)
		default:
			f, err := parseField(item)
			if err != nil || head == nil {
				return nil, fmt.Errorf("an answer does not understand %q", item)
			}
			head.fields = append(head.fields, f)
		}
	}
	if head != nil {
		a.frame(head, bodies, breaks)
	}
	return a, nil
}

// frame says in the last head how the body ends.
func (a *answer) frame(head *message, bodies int, breaks bool) {
	switch {
	case head.get("transfer-encoding") != "":
		a.chunked = true
	case head.get("content-length") != "" || a.status < 200 || a.status == 204 || a.status == 304:
	case bodies > 1 || breaks || len(a.trailers) > 0:
		a.chunked = true
	default:
		n := 0
		for _, p := range a.pieces {
			n += len(p.body)
		}
		head.fields = append(head.fields, field{"content-length", strconv.Itoa(n)})
	}
}

// bodyOf is the text of "body TEXT", of "bytes N" and of "hex DIGITS", whose digits
// may have blanks between them.
func bodyOf(word, rest string) (string, error) {
	if word == "body" {
		return rest, nil
	}
	if word == "hex" {
		text, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		return string(text), err
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 0 {
		return "", fmt.Errorf("bytes wants a number, not %q", rest)
	}
	return strings.Repeat("0123456789abcdef", n/16+1)[:n], nil
}

func parseField(s string) (field, error) {
	name, value, ok := strings.Cut(strings.TrimSpace(s), ":")
	if pseudo, rest, is := strings.Cut(value, ":"); name == "" && is {
		name, value = ":"+pseudo, rest
	}
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return field{}, fmt.Errorf("%q is no field", s)
	}
	return field{name, strings.TrimSpace(value)}, nil
}

// statusLine is the first line of an answer in HTTP/1.
func statusLine(status string) string {
	n, _ := strconv.Atoi(status)
	return strings.TrimSuffix("HTTP/1.1 "+status+" "+http.StatusText(n), " ")
}
