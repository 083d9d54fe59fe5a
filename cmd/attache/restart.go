package main

// Hot restart: what this process takes from the one before it, and gives to the one
// after it.

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/attache-mesh/attache/proxy/hotrestart"
	"github.com/attache-mesh/attache/proxy/lifecycle"
	"github.com/attache-mesh/attache/proxy/listener"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/xds/bootstrap"
)

// restart is this process among those that come one after the other; nil where hot
// restart was not asked for.
type restart struct {
	f          *flags
	log        *slog.Logger
	baseID     uint32
	parent     *hotrestart.Parent // nil: there is none to be spoken with
	inherited  *listener.Inherited
	started    time.Time // the first of the line
	generation int
	child      *hotrestart.Server
	stopChild  func()
	handed     chan time.Duration // a child has taken over; how long this one may stay

	mu      sync.Mutex
	counted map[string]uint64 // by the processes before
}

// newRestart finds the process before, if there is to be one, and takes its sockets. A
// process before that cannot be spoken with does not keep this one from serving.
func newRestart(f *flags, started time.Time, log *slog.Logger) (*restart, error) {
	if !f.hotRestarts() {
		return nil, nil
	}
	r := &restart{f: f, log: log, baseID: uint32(f.baseID), started: started, generation: 1, handed: make(chan time.Duration, 1), inherited: &listener.Inherited{}}
	if f.restartEpoch == 0 {
		return r, nil
	}
	parent, err := hotrestart.Dial(hotrestart.Name(f.socketPath, r.baseID, f.restartEpoch-1), f.restartEpoch)
	switch {
	case errors.Is(err, hotrestart.ErrNone) && f.skipNoParent:
		log.Warn("hot restart: there is no process before; starting without", "error", err)
		return r, nil
	case errors.Is(err, hotrestart.ErrNone):
		return nil, fmt.Errorf("hot restart: no process with --restart-epoch %d (--skip-hot-restart-on-no-parent starts without): %w", f.restartEpoch-1, err)
	}
	if err == nil {
		err = parent.Sockets(func(key string, fds []int) { r.inherited.Add(key, fds...) })
	}
	if err != nil {
		log.Error("hot restart: the process before cannot be spoken with; starting beside it, on the same ports", "error", err)
		r.inherited.Share = true
		return r, nil
	}
	r.parent, r.started, r.generation = parent, parent.Started(), parent.Generation()+1
	log.Info("hot restart: sockets inherited", "epoch", f.restartEpoch, "from_process", parent.PID())
	return r, nil
}

// listen waits for the process after, whose life is the program's; a base id that was
// not given is chosen here.
func (r *restart) listen(p *program, b *bootstrap.Bootstrap) (err error) {
	o := hotrestart.Options{
		Mode: r.f.socketMode, Epoch: r.f.restartEpoch, Generation: r.generation, Started: r.started,
		Sockets: p.giveSockets, Coming: p.successor, TakeOver: p.handOver, Terminate: p.quit, Figures: p.figuresToCarry, Log: r.log,
	}
	if !b.Admin.IsZero() {
		o.Admin = b.Admin.String()
	}
	for tries := 100; ; tries-- {
		if r.f.dynamicBaseID {
			r.baseID = rand.Uint32()
		}
		o.Name = hotrestart.Name(r.f.socketPath, r.baseID, r.f.restartEpoch)
		if r.child, err = hotrestart.Listen(o); err == nil {
			break
		}
		if !r.f.dynamicBaseID || tries == 0 {
			return err
		}
	}
	r.stopChild = sync.OnceFunc(r.child.Close)
	if r.f.baseIDPath == "" {
		return nil
	}
	if err := os.WriteFile(r.f.baseIDPath, []byte(strconv.FormatUint(uint64(r.baseID), 10)), 0o644); err != nil {
		return fmt.Errorf("--base-id-path: %w", err)
	}
	return nil
}

// takeOver is said once this process serves: the one before stops accepting. It gives
// the socket of its admin server, nil if there is none.
func (r *restart) takeOver(p *program) (admin net.Listener) {
	if r.parent == nil {
		return nil
	}
	shutdown := time.Duration(r.f.parentShutdownSeconds) * time.Second
	err := r.parent.TakeOver(shutdown, func(_ string, fds []int) { admin = listenerOf(fds, admin) })
	if err != nil {
		r.log.Error("hot restart: the process before went, or was told to stop accepting and did not say that it has", "error", err)
	}
	p.server.TakeOver()
	unused := r.inherited.Close()
	r.log.Info("hot restart: taken over", "epoch", r.f.restartEpoch, "from_process", r.parent.PID(), "addresses_not_used", unused)
	go r.parent.Figures(r.put)
	time.AfterFunc(shutdown, r.terminate)
	return admin
}

// takeOver makes the process before stop, and the admin server answer here.
func (p *program) takeOver() error {
	if p.restart == nil {
		return nil
	}
	return p.admin.open(p.restart.takeOver(p))
}

// inheritance are the sockets of the process before; nil: there is no hot restart.
func (r *restart) inheritance() *listener.Inherited {
	if r == nil {
		return nil
	}
	return r.inherited
}

// handedOver says that another process has taken over; it never does without hot
// restart.
func (r *restart) handedOver() <-chan time.Duration {
	if r == nil {
		return nil
	}
	return r.handed
}

// firstStarted is when the first of the line was; zero: there is no line.
func (r *restart) firstStarted() time.Time {
	if r == nil {
		return time.Time{}
	}
	return r.started
}

// terminate ends the process before, if it has not ended by itself.
func (r *restart) terminate() {
	if err := r.parent.Terminate(); err == nil {
		r.log.Info("hot restart: the process before was told to end", "process", r.parent.PID())
	}
}

// listenerOf makes a listener of the first file descriptor, unless there is one.
func listenerOf(fds []int, have net.Listener) net.Listener {
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "admin")
		if l, err := net.FileListener(f); err == nil && have == nil {
			have = l
		}
		f.Close() // FileListener has a duplicate
	}
	return have
}

// put keeps what the process before has counted.
func (r *restart) put(figures map[string]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counted == nil {
		r.counted = map[string]uint64{}
	}
	for name, v := range figures {
		r.counted[name] = v
	}
}

// addTo adds what hot restart knows to the statistics: counters are those of all
// processes of the line.
func (r *restart) addTo(sum *stats.Sum) {
	if r == nil {
		return
	}
	sum.Add("server.hot_restart_epoch", stats.Gauge, uint64(r.f.restartEpoch))
	sum.Add("server.hot_restart_generation", stats.Gauge, uint64(r.generation))
	if r.f.skipParentStats {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, v := range r.counted {
		sum.Add(name, stats.Counter, v)
	}
}

// figuresToCarry are the counters that the next process goes on from.
func (p *program) figuresToCarry() map[string]uint64 {
	all := map[string]uint64{}
	for _, row := range p.stats() {
		if row.Kind == stats.Counter && row.Value > 0 {
			all[row.Name] = row.Value
		}
	}
	return all
}

// giveSockets gives duplicates of the listening sockets away.
func (p *program) giveSockets() (all []hotrestart.Socket, err error) {
	mine, err := p.server.Sockets()
	for _, s := range mine {
		all = append(all, hotrestart.Socket(s))
	}
	return all, err
}

// successor shows who is about to take over; "": nobody any more.
func (p *program) successor(who string) {
	p.log.Info("hot restart", "comes", cmp.Or(who, "nobody: who came has gone"))
}

// handOver stops accepting, after another process has begun to.
func (p *program) handOver(who string, shutdown time.Duration) (admin []hotrestart.Socket) {
	p.life.Go(lifecycle.Draining, "hot restart: "+who+" has taken over", shutdown)
	p.server.HandOver()
	if fd := p.admin.release(); fd >= 0 {
		admin = append(admin, hotrestart.Socket{Key: "admin", FDs: []int{fd}})
	}
	p.restart.handed <- shutdown
	return admin
}

// untilHandedOver waits for the last connection to go, for the order to, or for the
// time that another process has said.
func (p *program) untilHandedOver(quitting <-chan struct{}, signals <-chan os.Signal, shutdown time.Duration) {
	p.life.WaitFor(func() []string { return []string{strconv.Itoa(p.server.Connections()) + " connections to end"} })
	late := time.After(shutdown + time.Second) // that process may have died
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for p.server.Connections() > 0 {
		select {
		case <-quitting:
			return
		case <-signals:
			return
		case <-late:
			return
		case <-again.C:
		}
	}
}

// optionsOf adds the command line's part to /server_info.
func (r *restart) optionsOf(o map[string]any) {
	if r == nil {
		return
	}
	o["restart_epoch"], o["base_id"] = r.f.restartEpoch, r.baseID
	o["parent_shutdown_time"] = strconv.Itoa(r.f.parentShutdownSeconds) + "s"
	o["socket_path"], o["socket_mode"] = r.f.socketPath, int(r.f.socketMode)
}
