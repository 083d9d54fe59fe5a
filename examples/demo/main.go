// Demo shows attache at its main job: real memcached and HTTP servers, attache in front of them, attache-control to tell it
// where they are, and an application that knows nothing but localhost. It says what it does, checks every word, and ends with an error if one was not true.
package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	once := flag.Bool("once", false, "end after the last step instead of staying up until Ctrl-C")
	flag.Parse()
	// Children are told to die with the thread that started them; this one lives as long as we do.
	runtime.LockOSThread()
	// And where `go run` is killed, we end in order. Without this call only that is lost.
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	say := newVoice(os.Stdout)
	err := show(ctx, say, *once)
	switch {
	case err == nil:
		return
	case ctx.Err() != nil:
		say.aside("interrupted")
	default:
		say.fault(err)
	}
	stop()
	os.Exit(1) // show has put everything away
}

// show is the program: the stage, the steps, and the stage cleared again whatever happened.
func show(ctx context.Context, say *voice, once bool) (err error) {
	s, err := raise(ctx, say)
	defer func() {
		if struck := s.strike(); err == nil {
			err = struck
		}
	}()
	if err != nil {
		return err
	}
	for i, step := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"1,000 keys through one localhost port", s.writeAndRead},
		{"Where the keys are", s.countPerShard},
		{"Which way one key goes, and why", s.explainOneKey},
		{"One shard is killed under traffic", s.loseAShard},
		{"The shard comes back; the application does nothing", s.regainTheShard},
		{"HTTP through the other port", s.visit},
		{"A fourth shard, by an edit of one file", s.growByAShard},
	} {
		say.title(i+1, step.title)
		if err := step.run(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if !once {
		s.stayUp(ctx)
	}
	return nil
}
