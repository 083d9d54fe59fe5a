package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a source that says what a test tells it to.
type fake struct {
	mu      sync.Mutex
	watches map[Service]func(Report)
	started []Service // every Watch so far
}

func (f *fake) Watch(ctx context.Context, s Service, report func(Report)) {
	f.mu.Lock()
	if f.watches == nil {
		f.watches = map[Service]func(Report){}
	}
	f.watches[s] = report
	f.started = append(f.started, s)
	f.mu.Unlock()
	<-ctx.Done()
	f.mu.Lock()
	delete(f.watches, s)
	f.mu.Unlock()
}

func (f *fake) Check(s Service) error {
	if s.Name == "bad" {
		return errors.New("bad name")
	}
	return nil
}

// say reports in the name of the source and waits until all is quiet.
func (f *fake) say(t *testing.T, s Service, r Report) {
	t.Helper()
	synctest.Wait()
	f.mu.Lock()
	report := f.watches[s]
	f.mu.Unlock()
	if report == nil {
		t.Fatalf("nobody watches %s", s)
	}
	report(r)
	synctest.Wait()
}

func (f *fake) running() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watches)
}

// log is what followers are told.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *log) follow(c *Catalog, s Service, name string) (stop func()) {
	return c.Follow(s, func(state State) {
		l.add(fmt.Sprintf("%s: %s %s", name, state.Kind, idsOf(state.Set)))
	})
}

func (l *log) want(t *testing.T, lines ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	got := slices.Sorted(slices.Values(l.lines))
	slices.Sort(lines)
	if !slices.Equal(got, lines) {
		t.Errorf("told\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
	l.lines = nil
}

var sessions = Service{Source: "fake", Name: "sessions"}

// inCatalog runs a test in virtual time with a catalog of one fake source.
func inCatalog(t *testing.T, o Options, test func(t *testing.T, c *Catalog, f *fake)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		c := NewCatalog(map[string]Mount{"fake": {f, o}})
		test(t, c, f)
		c.Close()
		if f.running() > 0 {
			t.Error("a watch outlives the catalog")
		}
	})
}

func TestFollowersShareAWatch(t *testing.T) {
	inCatalog(t, Options{}, func(t *testing.T, c *Catalog, f *fake) {
		var told log
		stopA := told.follow(c, sessions, "a")
		f.say(t, sessions, Report{Set: setOf("x", "y")})
		told.want(t, "a: fresh x,y")
		stopB := told.follow(c, sessions, "b")
		told.want(t, "b: fresh x,y") // at once, and only the new one
		f.say(t, sessions, Report{Set: setOf("y", "x")})
		told.want(t) // equal
		f.say(t, sessions, Report{Set: setOf("x")})
		told.want(t, "a: fresh x", "b: fresh x")
		stopA()
		stopA()
		f.say(t, sessions, Report{Set: setOf("z")})
		told.want(t, "b: fresh z")
		stopB()
		if len(f.started) != 1 {
			t.Errorf("watched %d times", len(f.started))
		}
	})
}

func TestWatchLingers(t *testing.T) {
	inCatalog(t, Options{}, func(t *testing.T, c *Catalog, f *fake) {
		var told log
		stop := told.follow(c, sessions, "a")
		f.say(t, sessions, Report{Set: setOf("x")})
		stop()
		time.Sleep(linger - time.Second)
		stop = told.follow(c, sessions, "b") // finds it warm
		told.want(t, "a: fresh x", "b: fresh x")
		time.Sleep(time.Hour)
		if f.running() != 1 {
			t.Error("the watch ended under its follower")
		}
		stop()
		time.Sleep(linger + time.Second)
		synctest.Wait()
		if f.running() != 0 || len(c.States()) != 0 {
			t.Error("the watch does not end")
		}
		defer told.follow(c, sessions, "c")()
		told.want(t) // a new watch knows nothing of the old one
		if len(f.started) != 2 {
			t.Errorf("watched %d times", len(f.started))
		}
	})
}

func TestHeldThenExpired(t *testing.T) {
	inCatalog(t, Options{Retention: time.Minute, GiveUp: true}, func(t *testing.T, c *Catalog, f *fake) {
		var told log
		defer told.follow(c, sessions, "a")()
		f.say(t, sessions, Report{Set: setOf("x")})
		f.say(t, sessions, Report{Set: setOf()})
		told.want(t, "a: fresh x", "a: held-empty x")
		time.Sleep(time.Minute)
		told.want(t, "a: expired -")
		f.say(t, sessions, Report{Set: setOf("x")})
		f.say(t, sessions, Report{Err: errors.New("away")})
		told.want(t, "a: fresh x", "a: failed x")
		time.Sleep(59 * time.Second)
		told.want(t)
		time.Sleep(time.Second)
		told.want(t, "a: expired -")
	})
}

func TestFollowerMayFollowAndStop(t *testing.T) {
	inCatalog(t, Options{}, func(t *testing.T, c *Catalog, f *fake) {
		var told log
		var stops []func()
		stops = append(stops, c.Follow(sessions, func(s State) {
			told.add("outer: " + s.Kind.String())
			stops = append(stops, told.follow(c, sessions, "inner"))
			stops[0]()
		}))
		f.say(t, sessions, Report{Set: setOf("x")})
		f.say(t, sessions, Report{Set: setOf("y")})
		told.want(t, "outer: fresh", "inner: fresh x", "inner: fresh y")
		stops[1]()
	})
}

func TestStoppedByAnother(t *testing.T) {
	inCatalog(t, Options{}, func(t *testing.T, c *Catalog, f *fake) {
		calls := 0
		var stops [2]func()
		for i := range stops {
			stops[i] = c.Follow(sessions, func(State) { calls++; stops[1-i]() })
		}
		f.say(t, sessions, Report{Set: setOf("x")})
		if calls != 1 {
			t.Errorf("%d calls: the second was stopped before its turn", calls)
		}
	})
}

func TestRefusedServiceFails(t *testing.T) {
	inCatalog(t, Options{}, func(t *testing.T, c *Catalog, f *fake) {
		var told log
		bad, strange := Service{Source: "fake", Name: "bad"}, Service{Source: "other", Name: "x"}
		defer told.follow(c, bad, "a")()
		defer told.follow(c, strange, "b")()
		told.want(t, "a: failed nil", "b: failed nil")
		if len(f.started) != 0 {
			t.Error("the source is asked all the same")
		}
		if c.Check(sessions) != nil || c.Check(bad) == nil || c.Check(strange) == nil {
			t.Error("Check tells them not apart")
		}
	})
}

func TestSynced(t *testing.T) {
	inCatalog(t, Options{}, func(t *testing.T, c *Catalog, f *fake) {
		other := Service{Source: "fake", Name: "other"}
		done := make(chan error, 1)
		go func() { done <- c.Synced(t.Context(), []Service{sessions, other}) }()
		f.say(t, other, Report{Err: errors.New("away")})
		if missing := c.Unsynced([]Service{sessions, other}); !slices.Equal(missing, []Service{sessions}) {
			t.Errorf("unsynced %v", missing)
		}
		select {
		case err := <-done:
			t.Fatal("synced with one answer missing", err)
		default:
		}
		f.say(t, sessions, Report{Set: setOf()})
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := c.Synced(t.Context(), []Service{sessions}); err != nil {
			t.Error("what is known is synced at once", err)
		}
	})
}

func TestSyncedNamesWhatIsMissing(t *testing.T) {
	inCatalog(t, Options{}, func(t *testing.T, c *Catalog, _ *fake) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.Synced(ctx, []Service{sessions})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "fake://sessions") {
			t.Error(err)
		}
	})
}

func TestStates(t *testing.T) {
	inCatalog(t, Options{}, func(t *testing.T, c *Catalog, f *fake) {
		var told log
		defer told.follow(c, Service{Source: "fake", Name: "z"}, "z")()
		defer told.follow(c, sessions, "a")()
		f.say(t, sessions, Report{Set: setOf("x"), Behind: time.Second})
		f.say(t, sessions, Report{Err: context.DeadlineExceeded})
		time.Sleep(time.Minute)
		states := c.States()
		if len(states) != 2 || states[0].Service != sessions || states[0].Followers != 1 || states[1].State.Kind != Waiting {
			t.Fatalf("%+v", states)
		}
		s := states[0]
		if s.State.Age(time.Now()) != 61*time.Second || s.Counters.Failures["timeout"] != 1 || s.Counters.Answers != 1 ||
			time.Since(s.Counters.LastFailure) != time.Minute {
			t.Errorf("%+v", s)
		}
	})
}

func TestCloseEndsAll(t *testing.T) {
	inCatalog(t, Options{}, func(t *testing.T, c *Catalog, f *fake) {
		var told log
		stop := told.follow(c, sessions, "a")
		synctest.Wait()
		c.Close()
		if f.running() != 0 {
			t.Error("still watched")
		}
		c.Follow(sessions, func(State) { t.Error("told after Close") })()
		stop()
		if err := c.Synced(t.Context(), []Service{sessions}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
