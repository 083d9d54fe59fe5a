package hashing

import (
	"encoding/hex"
	"hash/fnv"
	"testing"

	"pgregory.net/rapid"
)

func TestEnvoyHashFunctions(t *testing.T) {
	var v struct {
		RawXX   map[string]string `json:"xxHash64"`
		Chained struct {
			Parts []string
			Hash  uint64 `json:",string"`
		} `json:"xxHash64_chained"`
		RawMurmur map[string]string `json:"murmurHash2_64_seed_0xc70f6907"`
	}
	load(t, "envoy_hash_functions.json", &v)
	for key, want := range v.RawXX {
		if got := decimal(XXH64([]byte(key), 0)); got != want {
			t.Errorf("XXH64(%q, 0) = %s, want %s", key, got, want)
		}
	}
	for key, want := range v.RawMurmur {
		if got := decimal(Murmur2([]byte(key), MurmurSeed)); got != want {
			t.Errorf("Murmur2(%q) = %s, want %s", key, got, want)
		}
	}
	var h uint64
	for _, part := range v.Chained.Parts {
		h = XXH64([]byte(part), h)
	}
	if h != v.Chained.Hash {
		t.Errorf("XXH64 chained over %q = %d, want %d", v.Chained.Parts, h, v.Chained.Hash)
	}
}

func TestTwemproxyFunctions(t *testing.T) {
	var v struct {
		Key  string
		Hash map[string]uint32
	}
	load(t, "twemproxy_hashes.json", &v)
	if len(v.Hash) != Functions {
		t.Errorf("vectors for %d functions, want %d", len(v.Hash), Functions)
	}
	for name, want := range v.Hash {
		f, err := ParseFunction(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := Sum(f, []byte(v.Key)); got != want {
			t.Errorf("%s(%q) = %d, want %d", name, v.Key, got, want)
		}
	}
	if _, err := ParseFunction("sha1"); err == nil {
		t.Error("ParseFunction(sha1) succeeded")
	}
}

func TestTwemproxyKetamaSums(t *testing.T) {
	var v struct {
		KetamaHash []struct {
			Key       string
			Alignment int
			Hash      uint32
		} `json:"ketama_hash"`
	}
	load(t, "twemproxy_hashes.json", &v)
	points := appendServer(nil, "server1", 0, 9)
	for _, c := range v.KetamaHash { // the key of each is server1-8, the ninth sum
		if got := uint32(points[8*4+c.Alignment].hash >> 32); got != c.Hash {
			t.Errorf("point %d of %s = %d, want %d", c.Alignment, c.Key, got, c.Hash)
		}
	}
}

func TestLibhashkitFunctions(t *testing.T) {
	var v struct {
		Input  []string
		Output map[string][]uint32
	}
	load(t, "libhashkit_functions.json", &v)
	for name, sums := range v.Output {
		if name == "crc" {
			name = "crc32"
		}
		f, err := ParseFunction(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range sums {
			if got := Sum(f, []byte(v.Input[i])); got != want {
				t.Errorf("%s(%q) = %d, want %d", name, v.Input[i], got, want)
			}
		}
	}
}

func TestRedisSlots(t *testing.T) {
	var v struct {
		Slot []struct {
			Key, Hex string
			Slot     uint16
		}
		SameSlot [][2]string `json:"same_slot"`
	}
	load(t, "redis_cluster_slots.json", &v)
	for _, c := range v.Slot {
		key := []byte(c.Key)
		if c.Hex != "" {
			key, _ = hex.DecodeString(c.Hex)
		}
		if got := RedisSlot(key); got != c.Slot {
			t.Errorf("RedisSlot(%q) = %d, want %d", key, got, c.Slot)
		}
	}
	for _, pair := range v.SameSlot {
		if a, b := RedisSlot([]byte(pair[0])), RedisSlot([]byte(pair[1])); a != b {
			t.Errorf("RedisSlot(%q) = %d, but the slot of %q is %d", pair[0], a, pair[1], b)
		}
	}
	if got := CRC16([]byte("123456789")); got != 0x31c3 { // the check value of the Redis Cluster specification
		t.Errorf("CRC16(123456789) = %#x, want 0x31c3", got)
	}
}

func TestHashtag(t *testing.T) {
	for _, c := range []struct{ name, key, want string }{
		{"none", "user1000", "user1000"},
		{"inside", "a{user}b", "user"},
		{"first of two", "{a}{b}", "a"},
		{"empty", "{}a", "{}a"},
		{"empty, then one", "{}{a}", "{}{a}"},
		{"never closed", "a{b", "a{b"},
		{"closed before it opens", "}a{", "}a{"},
		{"nested", "a{{b}}c", "{b"},
		{"empty key", "", ""},
	} {
		if got := string(Hashtag([]byte(c.key), '{', '}')); got != c.want {
			t.Errorf("%s: Hashtag(%q) = %q, want %q", c.name, c.key, got, c.want)
		}
	}
	if got := string(Hashtag([]byte("a$b$c"), '$', '$')); got != "b" {
		t.Errorf("Hashtag with one byte for both = %q, want b", got)
	}
}

func TestFNVIsThePublishedOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		h1, h1a, g1, g1a := fnv.New32(), fnv.New32a(), fnv.New64(), fnv.New64a()
		h1.Write(key)
		h1a.Write(key)
		g1.Write(key)
		g1a.Write(key)
		if FNV132(key) != h1.Sum32() || FNV1a32(key) != h1a.Sum32() {
			t.Errorf("32 bits of %q differ from hash/fnv", key)
		}
		if FNV164(key) != g1.Sum64() || FNV1a64(key) != g1a.Sum64() {
			t.Errorf("64 bits of %q differ from hash/fnv", key)
		}
	})
}

func TestStringAndBytesHashAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		seed := rapid.Uint64().Draw(t, "seed")
		if XXH64(key, seed) != XXH64String(string(key), seed) {
			t.Errorf("XXH64String(%q, %d) differs from XXH64", key, seed)
		}
	})
}

func TestCombineRotatesWhatWasBefore(t *testing.T) {
	if got := Combine(1<<63|4, 3); got != 8|1^3 {
		t.Errorf("Combine = %d, want %d", got, 8|1^3)
	}
}

func TestSumOfNoFunctionPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Sum(0, …) did not panic")
		}
	}()
	Sum(0, []byte("key"))
}
