package extproc

// The conversation with the service about one request.

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// call is the conversation. Its stream is opened with the first question, in a coroutine
// that then reads what comes until the stream is over; that may be after the request.
type call struct {
	f       *Filter
	n       *counters
	w       *loop.Worker
	method  *callout.Method
	cluster string

	mode                           config.ExtProcMode
	failureAllow                   bool
	forward, receive, forwardTyped []string

	stream  callout.Stream
	begun   bool     // the stream is being opened, or was
	open    bool     // it is open
	over    bool     // it is over, or is to be
	killed  bool     // it is to be reset
	queue   [][]byte // what is to be sent once it is open
	told    bool     // protocol_config was sent
	timer   loop.Timer
	sides   [2]side       // request, answer
	done    bool          // nothing is asked any more
	refusal *filter.Reply // what the client is answered, if it is not too late
	note    map[string]config.Value
	space   loop.Waiter // of the stream's coroutine, until chunks are taken
}

// question is what a side waits for an answer to.
type question uint8

const (
	none question = iota
	headers
	body
	trailers
)

// side is the request or its answer.
type side struct {
	c       *call
	r       *filter.Request
	request bool

	asked    question
	deadline int64
	extended bool // the service was given more time for this question
	answer   *answer
	left     bool // the request is over
	known    bool // the attributes were sent
	flow     flow
	waiter   loop.Waiter
	timer    loop.Timer
}

// ask sends a question and waits for the answer: nil if the service is not asked any
// more, and the message goes on as it is. False: it does not; the client is answered
// call.refusal, if that is set.
func (s *side) ask(q question, msg []byte) (*answer, bool) {
	c := s.c
	if c.done {
		return nil, c.refusal == nil
	}
	s.asked, s.answer, s.extended = q, nil, false
	s.deadline = c.w.Now() + int64(c.f.cfg.MessageTimeout)
	if s.both() {
		s.deadline = never
	}
	c.send(msg)
	if !s.r.Await(s.wait, s.leave) {
		return nil, false
	}
	return s.heeded()
}

// never is a deadline that does not come.
const never = math.MaxInt64

// heeded is the answer that was waited for, as ask gives it.
func (s *side) heeded() (*answer, bool) {
	c := s.c
	s.asked = none
	a := s.answer
	if a != nil {
		c.learn(s.r, a.metadata)
	} else if c.refusal != nil {
		c.learn(s.r, c.note)
	}
	return a, c.refusal == nil
}

// wait is for a coroutine of its own: the request may end before it does.
func (s *side) wait() {
	c := s.c
	wake := func() { s.waiter.Wake(c.w) }
	for s.answer == nil && !c.done && !s.left {
		if c.w.Now() >= s.deadline {
			c.late()
			return
		}
		if s.deadline != never {
			c.w.SetTimer(&s.timer, time.Duration(s.deadline-c.w.Now()), wake)
		}
		s.waiter.Wait(c.w)
		c.w.ClearTimer(&s.timer)
	}
}

func (s *side) leave() {
	s.left = true
	s.waiter.Wake(s.c.w)
}

// send sends a message, or keeps it until the stream is open.
func (c *call) send(msg []byte) {
	if c.done {
		return
	}
	c.n.sent++
	switch {
	case c.open:
		c.stream.Queue(msg)
	case !c.over:
		c.queue = append(c.queue, msg)
	}
	if !c.begun {
		c.begun = true
		c.w.Go(c.life)
	}
}

// behind says whether the service has more before it than may be there.
func (c *call) behind() bool {
	n := 0
	switch {
	case c.done:
		return false
	case c.open:
		n = c.stream.Unsent()
	default:
		for _, msg := range c.queue {
			n += len(msg)
		}
	}
	return n > mostUnsent
}

// life is the stream's.
func (c *call) life() {
	defer func() {
		c.w.ClearTimer(&c.timer)
		c.stream.Close()
	}()
	cluster := c.f.env.Cluster(c.cluster)
	if cluster == nil {
		c.broken(grpcUnavailable, "Cluster not available")
		return
	}
	c.n.started++
	if o := c.stream.Open(c.w, cluster, c.method); o != outcome.OK {
		s := c.stream.Status()
		c.broken(s.Code, reason(s))
		return
	}
	if c.killed {
		return
	}
	c.open = true
	for _, msg := range c.queue {
		c.stream.Queue(msg)
	}
	c.queue = nil
	if c.over && !c.f.cfg.Observe {
		c.stream.SendEnd()
	}
	for {
		msg, o := c.stream.Receive(0)
		if o == outcome.OK && msg != nil {
			c.heard(msg)
			c.pace()
			continue
		}
		if s := c.stream.Status(); s.OK() {
			c.ended()
		} else {
			c.broken(s.Code, reason(s))
		}
		return
	}
}

// grpcUnavailable is UNAVAILABLE.
const grpcUnavailable = 14

// reason is what is said of a stream that has failed.
func reason(s callout.Status) string {
	if len(s.Text) > 0 || s.Outcome == outcome.OK {
		return string(s.Text)
	}
	return s.Outcome.HTTPBody()
}

// ended: the service has nothing more to say.
func (c *call) ended() {
	c.closeStream()
	c.finish(nil)
}

// broken: the stream has failed.
func (c *call) broken(code int, text string) {
	if c.over {
		return
	}
	c.n.failed++
	if c.done {
		return
	}
	if c.opens() {
		c.n.failureAllowed++
		c.closeStream()
		c.finish(nil)
		return
	}
	c.closeStream()
	details := "ext_proc_error_gRPC_error_" + strconv.Itoa(code) + "{" + text + "}"
	c.finish(&filter.Reply{Status: c.f.cfg.StatusOnError, Empty: true, Details: blank(details)})
}

// opens says whether it goes on without the service: not where that has what nobody else
// has (Filter::failureModeAllow).
func (c *call) opens() bool {
	return c.failureAllow && !c.sides[0].flow.begun && !c.sides[1].flow.begun
}

// blank makes underscores of blanks, as details have them.
func blank(s string) string { return strings.Join(strings.Fields(s), "_") }

// late: an answer has not come in its time.
func (c *call) late() {
	c.n.timeouts++
	c.closeStream()
	if c.opens() {
		c.n.failureAllowed++
		c.finish(nil)
		return
	}
	c.finish(&filter.Reply{Status: 504, Empty: true, Details: "ext_proc_error_per-message_timeout_exceeded"})
}

// mistake: what the service has said cannot be done. The client is answered whatever
// failure_mode_allow says.
func (c *call) mistake(why string) {
	c.closeStream()
	c.finish(&filter.Reply{Status: c.f.cfg.StatusOnError, Empty: true, Details: blank(why)})
}

// spurious: the service has said something that it was not asked.
func (c *call) spurious(why string) {
	c.n.spurious++
	if !c.opens() {
		c.mistake(why)
		return
	}
	c.n.failureAllowed++
	c.closeStream()
	c.finish(nil)
}

// finish ends the questions; whoever waits is told.
func (c *call) finish(refusal *filter.Reply) {
	if c.done {
		return
	}
	c.done, c.refusal = true, refusal
	c.space.Wake(c.w)
	for i := range c.sides {
		c.sides[i].stir()
	}
}

// closeStream ends the stream at once.
func (c *call) closeStream() {
	if c.over {
		return
	}
	c.over, c.killed = true, true
	c.n.closed++
	c.queue = nil
	c.w.SetTimer(&c.timer, 1, c.stream.Cancel) // not from its own coroutine
}

// End ends the questions.
func (c *call) End(*filter.Request, outcome.Outcome) {
	c.done = true
	c.space.Wake(c.w)
	for i := range c.sides {
		c.sides[i].leave()
	}
	d := remoteClose
	if c.f.cfg.Observe {
		d = c.f.cfg.DeferredClose
	}
	c.leaveStream(d)
}

// leaveStream ends this side's half of the stream, and gives the service some time to
// end the other: what it still says is not looked at.
func (c *call) leaveStream(d time.Duration) {
	if c.over || !c.begun {
		c.over = true
		return
	}
	c.over = true
	c.n.closed++
	if c.open && !c.f.cfg.Observe {
		c.stream.SendEnd()
	}
	c.w.SetTimer(&c.timer, max(d, 1), c.stream.Cancel)
}
