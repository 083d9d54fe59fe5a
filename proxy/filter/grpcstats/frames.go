package grpcstats

// Messages are counted by what stands before each, as their bytes pass
// (Grpc::FrameInspector):
//
//	flags (1)   length (4, big-endian)   data (length) …

import (
	"encoding/binary"
	"encoding/json"
)

// frameHead is the length of what stands before a message.
const frameHead = 5

// endOfStream is the flag of the last frame of a Connect stream's answer, which
// says in JSON how it went.
const endOfStream = 2

// maxEnd is how long that may be, in bytes; what is longer is no success.
const maxEnd = 64 << 10

// frames counts the messages of one direction.
type frames struct {
	count   uint64
	head    [frameHead]byte
	have    int    // of head
	left    uint32 // of the data
	connect bool   // it may end as a Connect stream does
	ended   bool
	last    []byte // the end frame, at most maxEnd bytes and one
}

// take counts the messages that begin in a piece.
func (s *frames) take(p []byte) (n uint64) {
	for len(p) > 0 {
		if s.have == 0 {
			if s.ended {
				return n // nothing follows the end frame
			}
			s.ended = s.connect && p[0]&endOfStream != 0
			if !s.ended {
				n++
				s.count++
			}
		}
		if s.have < frameHead {
			k := copy(s.head[s.have:], p)
			s.have, p = s.have+k, p[k:]
			if s.have < frameHead {
				return n
			}
			s.left = binary.BigEndian.Uint32(s.head[1:])
		}
		p = s.data(p)
		if s.left == 0 {
			s.have = 0
		}
	}
	return n
}

// data takes what belongs to the message, and gives the rest.
func (s *frames) data(p []byte) []byte {
	k := int(min(uint64(len(p)), uint64(s.left)))
	if s.ended {
		s.last = append(s.last, p[:min(k, maxEnd+1-len(s.last))]...)
	}
	s.left -= uint32(k)
	return p[k:]
}

// success reports whether a Connect stream has ended with an end frame that names
// no error.
func (s *frames) success() bool {
	if !s.ended || s.have != 0 || len(s.last) > maxEnd {
		return false
	}
	var end map[string]json.RawMessage
	if err := json.Unmarshal(s.last, &end); err != nil {
		return false
	}
	_, failed := end["error"]
	return !failed
}
