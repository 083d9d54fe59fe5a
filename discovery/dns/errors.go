package dns

// The ways in which DNS does not answer, told apart.

import (
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// Kind is what came of a question.
type Kind uint8

// The kinds. NXDomain and Empty are answers: that there is no such name, or no
// such record of it. After the others nothing is known.
const (
	Answered    Kind = iota
	NXDomain         // RFC 2308, 2.1
	Empty            // no error and no record (NODATA; RFC 2308, 2.2)
	ServFail         // the server could not find out
	Refused          // the server would not
	OtherCode        // another response code
	Timeout          // nothing came in time
	Unreachable      // the network or the host said no
	Truncated        // cut off, and TCP did not help
	Malformed        // not a message, too large, or no answer to the question
	Referral         // the server names others to ask; it does not recurse
	Denied           // all addresses are ones that are not taken from DNS
	kinds
)

var kindNames = [kinds]string{
	"answered", "nxdomain", "empty", "servfail", "refused", "rcode", "timeout",
	"unreachable", "truncated", "malformed", "referral", "denied",
}

// String is the kind as counters name it.
func (k Kind) String() string { return kindNames[k] }

// Error is why a name did not resolve.
type Error struct {
	Kind   Kind
	Name   string        // fully qualified
	Type   uint16        // of record
	Server string        // "address:port"; of several the last
	Detail string        // "" if Kind says all
	TTL    time.Duration // of NXDomain and Empty: how long it holds, 0 if not told
	Err    error         // the network's, if it was that
}

// Error names the question, the server and the kind.
func (e *Error) Error() string {
	text := fmt.Sprintf("dns: %s of %s from %s: %s", dns.TypeToString[e.Type], e.Name, e.Server, e.Kind)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the network's error.
func (e *Error) Unwrap() error { return e.Err }

// FailureKind is for discovery.FailureKind.
func (e *Error) FailureKind() string { return e.Kind.String() }

// isNegative: the server has answered, and says no.
func (e *Error) isNegative() bool { return e.Kind == NXDomain || e.Kind == Empty }
