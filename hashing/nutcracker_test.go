package hashing

// Where a running twemproxy sends keys. With -update the file is made anew: a nutcracker from the PATH stands before 50 small
// memcached servers that answer any get with their own number.

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite testdata/nutcracker_rings.json from a running nutcracker")

// nutcrackerPool is one pool of the configuration, and what it answered.
type nutcrackerPool struct {
	Hash         string   `json:"hash"`
	Distribution string   `json:"distribution"`
	HashTag      string   `json:"hash_tag,omitempty"`
	Weights      []uint32 `json:"weights"` // of cache-0, cache-1, …
	Picks        string   `json:"picks"`   // the server of keys[0], keys[1], …, separated by spaces
}

type nutcrackerFile struct {
	Notes struct {
		Source string `json:"source"`
	} `json:"_"`
	Keys  [][]byte         `json:"keys"` // base64: some are not text
	Pools []nutcrackerPool `json:"pools"`
}

func TestNutcrackerSendsKeysWhereWeDo(t *testing.T) {
	if *update {
		recordNutcracker(t)
	}
	var v nutcrackerFile
	load(t, "nutcracker_rings.json", &v)
	for _, p := range v.Pools {
		t.Run(fmt.Sprintf("%s %s %d", p.Distribution, p.Hash, len(p.Weights)), func(t *testing.T) {
			lookup := p.table()
			f, err := ParseFunction(p.Hash)
			if err != nil {
				t.Fatal(err)
			}
			picks := strings.Fields(p.Picks)
			if len(picks) != len(v.Keys) || len(picks) < 500 {
				t.Fatalf("%d picks for %d keys", len(picks), len(v.Keys))
			}
			for i, key := range v.Keys {
				hashed := key
				if p.HashTag != "" {
					hashed = Hashtag(key, p.HashTag[0], p.HashTag[1])
				}
				if got := strconv.Itoa(lookup(Sum(f, hashed))); got != picks[i] {
					t.Errorf("%q is on %s, want %s", key, got, picks[i])
				}
			}
		})
	}
}

func (p *nutcrackerPool) table() func(uint32) int {
	servers := make([]Host, len(p.Weights))
	for i, w := range p.Weights {
		servers[i] = Host{Key: fmt.Sprintf("cache-%d", i), Weight: w}
	}
	if p.Distribution == "modula" {
		return must(NewModula(servers)).Lookup
	}
	return must(NewKetama(servers)).Lookup
}

// nutcrackerKeys covers every length of a tail, bytes from 0x80 up, and tags.
func nutcrackerKeys() (keys [][]byte) {
	for i := range 400 {
		keys = append(keys, fmt.Appendf(nil, "user:%d:%d", i*7919, i))
	}
	for n := 1; n <= 40; n++ {
		keys = append(keys, []byte(strings.Repeat("abcdefghijk", 4)[:n]))
	}
	for i := range 40 {
		keys = append(keys, fmt.Appendf(nil, "a{tag%d}b%d", i%7, i))
	}
	for i := range 40 {
		b := []byte("\xc3\xa9\xff\x80z\xe2\x82\xac")[i%8:]
		keys = append(keys, fmt.Appendf(nil, "%s%d%s", b, i, b))
	}
	return keys
}

// nutcrackerPools covers every function, several numbers of servers, and weights.
func nutcrackerPools() (pools []nutcrackerPool) {
	equal := func(n int) []uint32 { return repeat(n, func(int) uint32 { return 1 }) }
	skewed := func(n int) []uint32 { return repeat(n, func(i int) uint32 { return uint32(1 + i*i%11) }) }
	for f := Function(1); int(f) <= Functions; f++ {
		pools = append(pools, nutcrackerPool{Hash: f.String(), Distribution: "ketama", Weights: equal(10)})
	}
	for _, f := range []Function{HashFNV1ax64, HashMD5, HashMurmur} {
		for _, n := range []int{3, 25, 47, 50} {
			pools = append(pools, nutcrackerPool{Hash: f.String(), Distribution: "ketama", Weights: equal(n)})
		}
	}
	for _, n := range []int{3, 10, 47} {
		pools = append(pools, nutcrackerPool{Hash: "fnv1a_64", Distribution: "ketama", Weights: skewed(n)})
	}
	return append(pools,
		nutcrackerPool{Hash: "md5", Distribution: "ketama", Weights: []uint32{1, 1000}},
		nutcrackerPool{Hash: "jenkins", Distribution: "ketama", HashTag: "{}", Weights: equal(10)},
		nutcrackerPool{Hash: "fnv1a_64", Distribution: "modula", Weights: equal(3)},
		nutcrackerPool{Hash: "crc16", Distribution: "modula", Weights: equal(10)},
		nutcrackerPool{Hash: "one_at_a_time", Distribution: "modula", Weights: skewed(25)},
	)
}

func repeat(n int, of func(i int) uint32) []uint32 {
	v := make([]uint32, n)
	for i := range v {
		v[i] = of(i)
	}
	return v
}

func recordNutcracker(t *testing.T) {
	version, err := exec.Command("nutcracker", "-V").CombinedOutput()
	if err != nil {
		t.Fatalf("nutcracker -V: %v", err)
	}
	v := nutcrackerFile{Keys: nutcrackerKeys(), Pools: nutcrackerPools()}
	v.Notes.Source = "recorded by nutcracker_test.go from " + strings.TrimSpace(strings.SplitN(string(version), "\n", 2)[0]) +
		", servers cache-0, cache-1, …"
	var backends []string
	for i := range 50 {
		backends = append(backends, serveNumber(t, i))
	}
	proxies := startNutcracker(t, v.Pools, backends)
	for i := range v.Pools {
		v.Pools[i].Picks = ask(t, proxies[i], v.Keys)
	}
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("testdata/nutcracker_rings.json", append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// serveNumber starts a memcached server in which every key has the value i, and returns its address.
func serveNumber(t *testing.T, i int) string {
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c, strconv.Itoa(i))
		}
	}()
	return l.Addr().String()
}

func answer(c net.Conn, value string) {
	defer c.Close()
	for in := bufio.NewReader(c); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		key := strings.TrimSuffix(strings.TrimPrefix(line, "get "), "\r\n")
		fmt.Fprintf(c, "VALUE %s 0 %d\r\n%s\r\nEND\r\n", strings.TrimSpace(key), len(value), value)
	}
}

func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// startNutcracker runs a nutcracker with these pools and returns where each listens.
func startNutcracker(t *testing.T, pools []nutcrackerPool, backends []string) (addresses []string) {
	var b strings.Builder
	for i, p := range pools {
		free := listen(t)
		addresses = append(addresses, free.Addr().String())
		free.Close()
		fmt.Fprintf(&b, "pool%d:\n  listen: %s\n  hash: %s\n  distribution: %s\n", i, addresses[i], p.Hash, p.Distribution)
		if p.HashTag != "" {
			fmt.Fprintf(&b, "  hash_tag: %q\n", p.HashTag)
		}
		b.WriteString("  servers:\n")
		for s, w := range p.Weights {
			fmt.Fprintf(&b, "   - %s:%d cache-%d\n", backends[s], w, s)
		}
	}
	config := filepath.Join(t.TempDir(), "nutcracker.yml")
	if err := os.WriteFile(config, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	stats := listen(t)
	_, port, _ := net.SplitHostPort(stats.Addr().String())
	stats.Close()
	cmd := exec.Command("nutcracker", "-c", config, "-a", "127.0.0.1", "-s", port)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return addresses
}

// ask gets every key and returns the values, which are the numbers of the servers.
func ask(t *testing.T, address string, keys [][]byte) string {
	c, err := net.Dial("tcp", address)
	for deadline := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(deadline); {
		c, err = net.Dial("tcp", address) // it may not listen yet
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	in := bufio.NewReader(c)
	var picks []string
	for _, key := range keys {
		fmt.Fprintf(c, "get %s\r\n", key)
		var lines [3]string
		for i := range lines {
			if lines[i], err = in.ReadString('\n'); err != nil {
				t.Fatalf("get %q: %v", key, err)
			}
			if i == 0 && !strings.HasPrefix(lines[0], "VALUE ") {
				t.Fatalf("get %q: %s", key, lines[0])
			}
		}
		picks = append(picks, strings.TrimSpace(lines[1]))
	}
	return strings.Join(picks, " ")
}
