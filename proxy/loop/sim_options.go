package loop

// What a worker asks of its sockets: the simulated network has no kernel that would
// do it, so tests look at what was asked.

import "github.com/attache-mesh/attache/proxy/config"

// SocketAsked is a socket that a worker opened.
type SocketAsked struct {
	Worker  string // by whom
	Connect bool   // to Address; else it listens there
	Address config.Address
	// ListenOptions are what is asked of it; a connection has its keep-alive alone.
	ListenOptions
	// From is where a connection is to come from; nil: wherever.
	From *config.LocalAddress
}

// OnSocket has f called for each socket that listens or connects from now on. Not for
// pairs and for what was accepted.
func (s *Sim) OnSocket(f func(SocketAsked)) { s.asked = f }

func (k *simKernel) tellAsked(connect bool, a config.Address, o ListenOptions, from *config.LocalAddress) {
	if k.s.asked != nil {
		k.s.asked(SocketAsked{k.name, connect, a, o, from})
	}
}
