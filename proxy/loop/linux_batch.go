package loop

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// aio is Linux' asynchronous I/O (io_setup(2), io_submit(2)) used for what it
// does with a socket that never blocks: each request is carried out within
// io_submit, and its result is in the ring that kernel and process share when
// the call returns. Reading the ring takes no call (fs/aio.c allows it: see
// user_refill_reqs_available; libaio and QEMU do the same).
//
// It is not io_uring, which container runtimes' seccomp profiles refuse; these
// calls they let pass.
type aio struct {
	ctx   uintptr // where the ring is mapped; 0: there is none
	cbs   [maxBatch]iocb
	order [maxBatch]*iocb
	late  ringEvent
}

// iocb is struct iocb of linux/aio_abi.h, little-endian.
type iocb struct {
	data   uint64
	_      uint64 // key, rw_flags
	opcode uint16
	_      int16 // reqprio
	fd     uint32
	buf    uint64
	nbytes uint64
	_      int64     // offset
	_      [2]uint64 // reserved2, flags, resfd
}

const (
	iocbRead  = 0 // IOCB_CMD_PREAD
	iocbWrite = 1 // IOCB_CMD_PWRITE
)

// ring is struct aio_ring of fs/aio.c; events follow it.
type ring struct {
	id, nr, head, tail      uint32
	magic, compat, incompat uint32
	length                  uint32
	events                  [1 << 16]ringEvent // nr of them
}

type ringEvent struct {
	data, obj uint64
	res, res2 int64
}

const ringMagic = 0xa10a10a1

// newAIO sets up a ring; without one (an old kernel, a sandbox, fs.aio-max-nr)
// there are no batches.
func newAIO() *aio {
	a := &aio{}
	if _, _, errno := syscall.RawSyscall(unix.SYS_IO_SETUP, 2*maxBatch, uintptr(unsafe.Pointer(&a.ctx)), 0); errno != 0 {
		return nil
	}
	if r := a.ring(); r.magic != ringMagic || r.incompat != 0 || r.nr < maxBatch {
		a.release()
		return nil
	}
	return a
}

func (a *aio) release() {
	_, _, _ = syscall.RawSyscall(unix.SYS_IO_DESTROY, a.ctx, 0, 0)
}

func (a *aio) ring() *ring { return (*ring)(*(*unsafe.Pointer)(unsafe.Pointer(&a.ctx))) }

// submit carries out ts in one call. It answers how many it has: the rest, for
// which the kernel had no room, is left to the caller.
//
// The buffers must be on the heap: the kernel is told their addresses in a form
// that Go's stacks do not follow when they move.
func (a *aio) submit(opcode uint16, ts []transfer) int {
	if a == nil {
		return 0
	}
	for i := range ts {
		t := &ts[i]
		a.cbs[i] = iocb{
			data: uint64(i), opcode: opcode, fd: uint32(t.fd),
			buf: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(t.p)))), nbytes: uint64(len(t.p)),
		}
		a.order[i] = &a.cbs[i]
	}
	n, _, errno := syscall.RawSyscall(unix.SYS_IO_SUBMIT, a.ctx, uintptr(len(ts)), uintptr(unsafe.Pointer(&a.order[0])))
	runtime.KeepAlive(ts)
	if errno != 0 {
		return 0
	}
	a.reap(ts, int(n))
	return int(n)
}

// reap takes n results from the ring. They are there: a socket that does not
// block answers within the call. Should a kernel ever do it later, it is waited
// for: the buffers may not be touched before.
func (a *aio) reap(ts []transfer, n int) {
	r := a.ring()
	for ; n > 0; n-- {
		if r.head == r.tail {
			if _, _, errno := syscall.RawSyscall6(unix.SYS_IO_GETEVENTS, a.ctx, 1, 1, uintptr(unsafe.Pointer(&a.late)), 0, 0); errno != 0 {
				n++ // a signal
				continue
			}
			a.late.result(ts)
			continue
		}
		r.events[r.head].result(ts)
		if r.head++; r.head == r.nr {
			r.head = 0
		}
	}
}

// result is what read or write would have answered.
func (e *ringEvent) result(ts []transfer) {
	t := &ts[e.data]
	if t.n, t.errno = int(e.res), 0; e.res < 0 {
		t.n, t.errno = 0, syscall.Errno(-e.res)
	}
}

func (k *linux) canBatch() bool { return k.aio != nil }

func (k *linux) readAll(ts []transfer) {
	for i := k.aio.submit(iocbRead, ts); i < len(ts); i++ {
		ts[i].n, ts[i].errno = k.read(ts[i].fd, ts[i].p)
	}
}

// writeAll knows no MSG_NOSIGNAL: a peer that is gone is EPIPE and a SIGPIPE,
// which Go's runtime lets pass for all but the standard outputs (os/signal).
func (k *linux) writeAll(ts []transfer) {
	for i := k.aio.submit(iocbWrite, ts); i < len(ts); i++ {
		ts[i].n, ts[i].errno = k.write(ts[i].fd, ts[i].p)
	}
}
