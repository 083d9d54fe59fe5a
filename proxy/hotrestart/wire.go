// Package hotrestart is how a new process takes over from an old one on the same
// machine: it speaks to it over a unix socket, is given its listening sockets, and
// tells it when to stop accepting and when to end.
//
//	new (epoch n+1)                        old (epoch n)
//	hello ──────────────────────────────▶  same user? same version?
//	      ◀──────────────────────── hello  who it is, since when
//	sockets ────────────────────────────▶
//	      ◀───────────── socket, socket …  each with its file descriptors (SCM_RIGHTS)
//	      ◀────────────────────────── end
//	(makes its clusters ready, accepts beside the old one)
//	take over ──────────────────────────▶  closes its listeners, tells its clients to go
//	      ◀───────────── socket, … , end   that of the admin server
//	      ◀──────────────────── figures …  what it has counted, each second, and at its end
//	terminate ──────────────────────────▶  ends
//
// Who dies on the way costs nothing: without "take over" the old one goes on as if
// nobody had come. The order of events is Envoy's (source/server/hot_restarting_*.cc),
// the messages are not.
package hotrestart

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Version is that of the messages; processes of different ones start without each
// other's sockets.
const Version = 1

// kind is what a message says. The numbers are the protocol.
type kind uint16

const (
	hello kind = 1 + iota
	sockets
	socket
	end
	takeOver
	figures
	terminate
)

const (
	magic    = 0x41545448 // before every message, then version and kind
	headSize = 8
	// maxMessage bounds a message in bytes: a packet has it whole.
	maxMessage = 60 << 10
	// maxFDs is how many file descriptors a message may have (SCM_MAX_FD is 253).
	maxFDs = 128
	// maxSockets bounds how many messages of sockets, or of figures, come in a row.
	maxSockets = 4096
)

// about is how processes introduce themselves.
type about struct {
	Epoch      int       `json:"epoch"`
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"` // the first of the line
	Generation int       `json:"generation"`
	Admin      string    `json:"admin,omitempty"`
}

// offer says which address the file descriptors of a message are of.
type offer struct {
	Key string `json:"key"`
}

// conn is a connection of packets (SOCK_SEQPACKET).
type conn struct{ *net.UnixConn }

// errVersion is of a peer that speaks another version, errUser of another user's.
var (
	errVersion = errors.New("it speaks another version of the protocol")
	errUser    = errors.New("it is another user's")
)

// send sends one message whole, with file descriptors if there are any; these stay
// the caller's.
func (c conn) send(k kind, v any, fds []int, limit time.Duration) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(text) > maxMessage-headSize || len(fds) > maxFDs {
		return fmt.Errorf("a message of %d bytes and %d sockets is too long", len(text), len(fds))
	}
	packet := binary.BigEndian.AppendUint32(nil, magic)
	packet = binary.BigEndian.AppendUint16(packet, Version)
	packet = binary.BigEndian.AppendUint16(packet, uint16(k))
	packet = append(packet, text...)
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if err := c.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	_, _, err = c.WriteMsgUnix(packet, rights, nil)
	return err
}

// receive takes one message; the file descriptors are the caller's, of which there are
// none with an error. limit 0 waits for ever.
func (c conn) receive(limit time.Duration) (k kind, text []byte, fds []int, err error) {
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	if err = c.SetReadDeadline(deadline); err != nil {
		return 0, nil, nil, err
	}
	packet := make([]byte, maxMessage)
	rights := make([]byte, unix.CmsgSpace(4*maxFDs))
	n, m, flags, _, err := c.ReadMsgUnix(packet, rights)
	if err != nil {
		return 0, nil, nil, err
	}
	if n == 0 {
		return 0, nil, nil, net.ErrClosed // the end: no packet is empty
	}
	fds, err = descriptors(rights[:m])
	if err == nil {
		k, text, err = parse(packet[:n], flags)
	}
	if err != nil {
		closeAll(fds)
		return 0, nil, nil, err
	}
	return k, text, fds, nil
}

// parse takes the head off.
func parse(packet []byte, flags int) (kind, []byte, error) {
	switch {
	case len(packet) < headSize || binary.BigEndian.Uint32(packet) != magic:
		return 0, nil, errors.New("it does not speak the protocol")
	case binary.BigEndian.Uint16(packet[4:]) != Version:
		return 0, nil, fmt.Errorf("%w: %d, not %d", errVersion, binary.BigEndian.Uint16(packet[4:]), Version)
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		return 0, nil, errors.New("a message is too long")
	}
	return kind(binary.BigEndian.Uint16(packet[6:])), packet[headSize:], nil
}

// descriptors are those that came with a message.
func descriptors(rights []byte) (fds []int, err error) {
	if len(rights) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		some, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fds, err
		}
		fds = append(fds, some...)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// sameUser is nil if the process at the other end is ours, as its user tells.
func (c conn) sameUser() error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var who *unix.Ucred
	if control := raw.Control(func(fd uintptr) {
		who, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); control != nil {
		return control
	}
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if int(who.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: %d", errUser, who.Uid)
	}
	return nil
}

// Name is the socket of the process with an epoch: path is Envoy's --socket-path, and
// a leading '@' says that it is not in the file system.
func Name(path string, baseID uint32, epoch int) string {
	return fmt.Sprintf("%s_%d_%d", path, baseID, epoch)
}
