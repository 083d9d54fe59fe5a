package transport

// Resumption: what a client keeps of sessions, and how long a server lets them
// live.

import (
	"crypto/tls"
	"encoding/binary"
	"slices"
	"time"
)

// sessions keeps the latest sessions with hosts, by the name that was sent or
// the address; the one used longest ago makes room. Worker only.
type sessions struct {
	most int
	kept []session // the latest last
}

type session struct {
	key   string
	state *tls.ClientSessionState
}

// Get is tls.ClientSessionCache's.
func (s *sessions) Get(key string) (*tls.ClientSessionState, bool) {
	i := s.index(key)
	if i < 0 {
		return nil, false
	}
	found := s.kept[i]
	s.kept = append(slices.Delete(s.kept, i, i+1), found)
	return found.state, true
}

// Put is tls.ClientSessionCache's.
func (s *sessions) Put(key string, state *tls.ClientSessionState) {
	if i := s.index(key); i >= 0 {
		s.kept = slices.Delete(s.kept, i, i+1)
	}
	if state == nil {
		return
	}
	if len(s.kept) >= s.most {
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	s.kept = append(s.kept, session{key, state})
}

func (s *sessions) index(key string) int {
	return slices.IndexFunc(s.kept, func(x session) bool { return x.key == key })
}

// limitSessions lets sessions be resumed for d only; crypto/tls's own bound is 7
// days. The time of a session's beginning goes into its ticket.
func limitSessions(cfg *tls.Config, d time.Duration, wall func() time.Time) {
	const size = 8
	cfg.WrapSession = func(cs tls.ConnectionState, st *tls.SessionState) ([]byte, error) {
		if len(st.Extra) == 0 {
			st.Extra = [][]byte{binary.BigEndian.AppendUint64(nil, uint64(wall().Unix()))}
		}
		return cfg.EncryptTicket(cs, st)
	}
	cfg.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		st, err := cfg.DecryptTicket(identity, cs)
		if err != nil || st == nil || len(st.Extra) != 1 || len(st.Extra[0]) != size {
			return nil, err
		}
		began := time.Unix(int64(binary.BigEndian.Uint64(st.Extra[0])), 0)
		if wall().Sub(began) >= d {
			return nil, nil
		}
		return st, nil
	}
}
