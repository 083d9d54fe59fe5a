package load

import "testing"

func TestAtPlaceNoticesShiftedAndOverlongChunks(t *testing.T) {
	reply := Stream()
	for name, test := range map[string]struct {
		chunk  []byte
		offset int
		want   bool
	}{
		"whole":              {reply, 0, true},
		"in its place":       {reply[1000:70000], 1000, true},
		"single byte":        {reply[7:8], 7, true},
		"four bytes shifted": {reply[1004:70004], 1000, false},
		"a piece lost":       {append(append([]byte{}, reply[:500]...), reply[600:1000]...), 0, false},
		"past the end":       {reply[:2], StreamSize - 1, false},
	} {
		if got := AtPlace(reply, test.chunk, test.offset); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
