package load

import "bytes"

// StreamSize is the length in bytes of a reply in the TCP rows.
const StreamSize = 1 << 20

// checked is how much of each chunk read is compared: enough to notice a lost, doubled or
// shifted piece, little enough that the comparison costs nothing beside the copy.
const checked = 64

// Stream is a reply of the TCP rows: no 64 bytes of it occur twice.
func Stream() []byte {
	reply := make([]byte, StreamSize)
	for i := range reply {
		block := uint32(i / 4)
		reply[i] = byte(block >> (8 * (i % 4)))
	}
	return reply
}

// AtPlace says whether chunk begins and ends as the bytes of reply from offset on do.
func AtPlace(reply, chunk []byte, offset int) bool {
	if offset+len(chunk) > len(reply) {
		return false
	}
	want, n := reply[offset:offset+len(chunk)], min(checked, len(chunk))
	return bytes.Equal(chunk[:n], want[:n]) && bytes.Equal(chunk[len(chunk)-n:], want[len(want)-n:])
}
