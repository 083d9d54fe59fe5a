package luascript

import (
	"context"
	"errors"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Bounds of one run of a script: from the call of its function to its end, waits included.
const (
	// Slice is how many instructions are run before the run pauses, MaxSlices how many times it may go on.
	Slice     = 10_000
	MaxSlices = 1000
	// MaxString bounds one text, and MaxBytes all the texts that a run makes, in bytes.
	MaxString = 16 << 20
	MaxBytes  = 256 << 20
)

// Errors of a run that has to end.
var (
	ErrInstructions = fmt.Errorf("script has run more than %d instructions", Slice*MaxSlices)
	ErrOver         = errors.New("script is over")
)

// Meter counts what a run uses. It is the context of the run's threads: the machine asks Done before each
// instruction. One coroutine at a time.
type Meter struct {
	// Pause is called when a slice is used up, and may wait; nil: nothing is done. An error ends the run.
	Pause func() error

	left   int // instructions of this slice
	slices int
	bytes  int
	err    error
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Begin makes the meter ready for a run.
func (m *Meter) Begin(pause func() error) { *m = Meter{Pause: pause, left: Slice} }

// End makes every further instruction of the run fail.
func (m *Meter) End(why error) { m.err, m.left = why, 0 }

// Done counts an instruction; it is closed if the run has to end.
func (m *Meter) Done() <-chan struct{} {
	if m.left--; m.left >= 0 {
		return nil
	}
	return m.spent()
}

func (m *Meter) spent() <-chan struct{} {
	m.left = Slice
	if m.slices++; m.err == nil && m.slices >= MaxSlices {
		m.err = ErrInstructions
	}
	if m.err == nil && m.Pause != nil {
		m.err = m.Pause()
	}
	if m.err == nil {
		return nil
	}
	m.left = 0
	return closed
}

// Use counts n instructions that something written in Go is worth.
func (m *Meter) Use(n int) error {
	for m.left -= n; m.left < 0; m.left += Slice {
		left := m.left
		if m.spent() != nil {
			return m.err
		}
		m.left = left
	}
	return nil
}

// Take counts n bytes of a text.
func (m *Meter) Take(n int) error {
	if n > MaxString {
		return fmt.Errorf("text of %d bytes: at most %d are allowed", n, MaxString)
	}
	if m.bytes += n; m.bytes > MaxBytes {
		return fmt.Errorf("script has made more than %d bytes of texts", MaxBytes)
	}
	return nil
}

// Err says why the run has to end.
func (m *Meter) Err() error { return m.err }

// Deadline is none.
func (m *Meter) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value is none.
func (m *Meter) Value(any) any { return nil }

var _ context.Context = (*Meter)(nil)

// meterOf finds the meter of a run.
func meterOf(l *lua.LState) *Meter {
	m, _ := l.Context().(*Meter)
	return m
}

// take counts a text that is to be made, and raises an error if it may not be.
func take(l *lua.LState, n int) {
	if err := meterOf(l).Take(n); err != nil {
		l.RaiseError("%s", err.Error())
	}
}

// use counts work, and raises an error if it may not be done.
func use(l *lua.LState, n int) {
	if err := meterOf(l).Use(n); err != nil {
		l.RaiseError("%s", err.Error())
	}
}
