package protowire

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// A message written here is the one that the library reads.
func TestWrite(t *testing.T) {
	long := strings.Repeat("long ", 100)
	var b []byte
	field := func(key string, value func([]byte) []byte) {
		var entry, v int
		b, entry = Begin(b, 1)
		b = AppendText(b, 1, key)
		b, v = Begin(b, 2)
		b = value(b)
		b = End(b, v)
		b = End(b, entry)
	}
	field("text", func(b []byte) []byte { return AppendText(b, 3, long) })
	field("number", func(b []byte) []byte { return AppendDouble(b, 2, -1.5) })
	field("yes", func(b []byte) []byte { return AppendBool(b, 4, true) })
	field("nested", func(b []byte) []byte {
		b, list := Begin(b, 6)
		for _, s := range []string{"a", long} {
			var v int
			b, v = Begin(b, 1)
			b = AppendText(b, 3, s)
			b = End(b, v)
		}
		return End(b, list)
	})
	var got structpb.Struct
	if err := proto.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want, err := structpb.NewStruct(map[string]any{"text": long, "number": -1.5, "yes": true, "nested": []any{"a", long}})
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&got, want) {
		t.Errorf("got %v", &got)
	}
}

// Lengths at the borders of their own length.
func TestNestedLengths(t *testing.T) {
	for _, n := range []int{0, 1, 124, 125, 126, 127, 128, 129, 16380, 16381, 16382, 16383, 16384, 1 << 21} {
		inner := bytes.Repeat([]byte{'x'}, n)
		b, at := Begin([]byte("before"), 7)
		b = append(b, inner...)
		b = End(b, at)
		want := protowire.AppendBytes(protowire.AppendTag([]byte("before"), 7, protowire.BytesType), inner)
		if !bytes.Equal(b, want) {
			t.Errorf("%d: other bytes", n)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, v := range []int64{1, -1, 127, 128, math.MaxInt64, math.MinInt64} {
		b := AppendInt(nil, 3, v)
		r := Read(b)
		if !r.Next() || r.Number != 3 || r.Int() != v || r.Next() || r.Err() != nil {
			t.Errorf("%d: %+v %v", v, r.Field, r.Err())
		}
	}
	if b := AppendUint(AppendBool(AppendText(nil, 1, ""), 2, false), 3, 0); len(b) != 0 {
		t.Errorf("defaults are written: %x", b)
	}
	r := Read(AppendDouble(nil, 9, math.Pi))
	if !r.Next() || r.Double() != math.Pi {
		t.Error("double")
	}
}

// FuzzRead reads what the library reads, field for field, and stops where it does.
func FuzzRead(f *testing.F) {
	f.Add([]byte{8, 1, 18, 1, 'x', 29, 1, 2, 3, 4, 33, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{11, 12})
	f.Add([]byte{10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2})
	f.Fuzz(func(t *testing.T, in []byte) {
		r, rest := Read(in), in
		for n := 0; ; n++ {
			more := r.Next()
			want, left, ok := theirs(rest)
			if more != ok {
				t.Fatalf("field %d: read %v, the library %v: %v", n, more, ok, r.Err())
			}
			if !more {
				if (r.Err() == nil) != (len(rest) == 0) {
					t.Fatalf("at the end, with %d bytes left: %v", len(rest), r.Err())
				}
				return
			}
			if got := fmt.Sprint(r.Number, r.Type, r.Num, string(r.Data)); got != want {
				t.Fatalf("field %d: %q, want %q", n, got, want)
			}
			rest = left
		}
	})
}

// theirs reads a field with the library; groups count as malformed, and numbers
// that only its MessageSet has.
func theirs(b []byte) (text string, rest []byte, ok bool) {
	number, typ, n := protowire.ConsumeTag(b)
	if n < 0 || number >= 1<<29 {
		return "", nil, false
	}
	b = b[n:]
	var v uint64
	var data []byte
	switch typ {
	case protowire.VarintType:
		v, n = protowire.ConsumeVarint(b)
	case protowire.Fixed64Type:
		v, n = protowire.ConsumeFixed64(b)
	case protowire.Fixed32Type:
		var w uint32
		w, n = protowire.ConsumeFixed32(b)
		v = uint64(w)
	case protowire.BytesType:
		data, n = protowire.ConsumeBytes(b)
	default:
		return "", nil, false
	}
	if n < 0 {
		return "", nil, false
	}
	return fmt.Sprint(int(number), Type(typ), v, string(data)), b[n:], true
}

// FuzzWrite: what is written is read back.
func FuzzWrite(f *testing.F) {
	f.Add("key", uint64(300), []byte("value"))
	f.Fuzz(func(t *testing.T, key string, v uint64, data []byte) {
		b, at := Begin(nil, 15)
		b = AppendText(b, 1, key)
		b = AppendUint(b, 2, v)
		b = AppendText(b, 1<<28, data)
		b = End(b, at)
		r := Read(b)
		if !r.Next() || r.Number != 15 {
			t.Fatal("no message")
		}
		var gotKey, gotData string
		var gotV uint64
		for in := Read(r.Data); in.Next(); {
			switch in.Number {
			case 1:
				gotKey = in.Text()
			case 2:
				gotV = in.Num
			case 1 << 28:
				gotData = in.Text()
			}
		}
		if gotKey != key || gotV != v || gotData != string(data) || r.Next() || r.Err() != nil {
			t.Errorf("got %q %d %q", gotKey, gotV, gotData)
		}
	})
}
