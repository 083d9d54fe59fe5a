package corpus

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"go.yaml.in/yaml/v3"

	"github.com/attache-mesh/attache/conformance/stockxds"
	"github.com/attache-mesh/attache/xds/bootstrap"
	"github.com/attache-mesh/attache/xds/document"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

var (
	corpusDir = flag.String("corpus", "", "directory of the collection; without it only the examples of this repository are read")
	reportTo  = flag.String("report", "", "file that the report is also written to")
	noUp      = flag.Bool("read", false, "only read the files: none is served")
	all       = flag.Bool("all", false, "files of tier 1 and 2 that are refused, and not because of another issue, fail the test")
)

// stage is what configurations come up on.
type stage struct {
	t       *testing.T
	program string
	hosts   string
	plane   *stockxds.Server
	scratch *scratch
	asked   int // requests
}

func newStage(t *testing.T, beside string) *stage {
	s := &stage{t: t, program: filepath.Join(t.TempDir(), "attache"), scratch: newScratch(t, beside)}
	build := exec.Command("go", "build", "-o", s.program, "./cmd/attache")
	build.Dir = "../.."
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	s.hosts = answering(t)
	s.plane = stockxds.StartServer(t, false)
	s.plane.Set("1", map[resource.Type][]types.Resource{
		resource.ClusterType: {}, resource.ListenerType: {},
		resource.RouteType:    {&routev3.RouteConfiguration{Name: "local_route"}},
		resource.EndpointType: {&endpointv3.ClusterLoadAssignment{ClusterName: "some_service"}},
	})
	return s
}

// answering is a host for every cluster: plaintext or TLS, HTTP/1 or HTTP/2.
func answering(t *testing.T) string {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok\n")
	})
	plain := httptest.NewUnstartedServer(ok)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetHTTP1(true)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	secure := httptest.NewUnstartedServer(ok)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close() })
	go func() {
		for {
			c, err := front.Accept()
			if err != nil {
				return
			}
			go split(c, plain.Listener.Addr().String(), secure.Listener.Addr().String())
		}
	}()
	return front.Addr().String()
}

// split passes a connection on to the one that speaks as it begins.
func split(c net.Conn, plain, secure string) {
	defer c.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(c, first); err != nil {
		return
	}
	to := plain
	if first[0] == 0x16 { // a handshake record
		to = secure
	}
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer up.Close()
	if _, err := up.Write(first); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(up, c)
		_ = up.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(c, up)
}

// verdict is what came of a file.
type verdict struct {
	entry
	refused []load.Problem
	wrong   []load.Problem // of those, what is neither "not built" nor rightly refused
	unseen  []refusal      // what should be refused and was not
	warned  []load.Problem
	down    string // accepted, and why it did not come up
}

// read reads one file and lets it come up if it can.
func (s *stage) read(e entry) verdict {
	v := verdict{entry: e}
	data, err := os.ReadFile(e.path)
	if err != nil {
		s.t.Fatal(err)
	}
	var doc yaml.Node
	text := data
	if yaml.Unmarshal(data, &doc) == nil && len(doc.Content) > 0 {
		s.scratch.files("", &doc)
		if text, err = yaml.Marshal(&doc); err != nil {
			s.t.Fatal(err)
		}
	}
	d, problems := document.Read(text, e.name, document.Options{Type: e.typeName(), Bootstrap: bootstrap.Options{ServiceNode: "corpus", ServiceCluster: "corpus"}})
	v.unseen = rightlyRefused()[e.name].what
	for _, p := range problems {
		if p.Warning {
			v.warned = append(v.warned, p)
			continue
		}
		v.refused = append(v.refused, p)
		if !v.expected(p) && !notBuilt(p) {
			v.wrong = append(v.wrong, p)
		}
	}
	if !*noUp && len(v.refused) == 0 && d.Bootstrap != nil && len(doc.Content) > 0 {
		v.down = s.comesUp(&e, &doc)
	}
	return v
}

// expected reports whether a refusal is right, and strikes it off.
func (v *verdict) expected(p load.Problem) bool {
	i := slices.IndexFunc(v.unseen, func(r refusal) bool { return p.Path == r.path && strings.Contains(p.Text, r.text) })
	if i < 0 {
		return false
	}
	v.unseen = slices.Delete(slices.Clone(v.unseen), i, i+1)
	return true
}

// taken reports whether the file is accepted and came up.
func (v *verdict) taken() bool { return len(v.refused) == 0 && v.down == "" }

// right reports whether the file is refused for nothing but what Envoy refuses, too.
func (v *verdict) right() bool {
	return len(v.refused) > 0 && len(v.refused) == len(rightlyRefused()[v.name].what)-len(v.unseen)
}

// notBuilt reports whether a refusal is that of the support table.
func notBuilt(p load.Problem) bool {
	if strings.HasSuffix(p.Text, "with type URL: ''") {
		return false // it asks for nothing
	}
	return p.Unsupported || strings.HasPrefix(p.Text, "not supported") || strings.HasPrefix(p.Text, "Didn't find a registered") ||
		strings.Contains(p.Text, "Envoy has this type")
}

// The whole collection, and what it says of attache.
func TestCorpus(t *testing.T) {
	if *corpusDir == "" {
		return // TestExamples reads those that are here
	}
	dir := filepath.Join(*corpusDir, "dev")
	index, err := readIndex(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, dir)
	var verdicts []verdict
	for _, e := range index {
		verdicts = append(verdicts, s.read(e))
	}
	report := report(verdicts, s.asked)
	fmt.Print(report)
	if *reportTo != "" {
		if err := os.WriteFile(*reportTo, []byte(report), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range verdicts {
		for _, wrong := range verdicts[i].judge() {
			t.Errorf("%s (tier %s): %s", verdicts[i].name, verdicts[i].tier, wrong)
		}
	}
}

// judge says what must not be so.
func (v *verdict) judge() (wrong []string) {
	if v.down != "" {
		wrong = append(wrong, "did not come up: "+v.down)
	}
	for _, p := range v.wrong {
		wrong = append(wrong, "refused, and neither for what is not built nor as Envoy does: "+p.String())
	}
	for _, r := range v.unseen {
		wrong = append(wrong, fmt.Sprintf("not refused: %s: %s (%s)", r.path, r.text, rightlyRefused()[v.name].why))
	}
	need, other := elsewhere()[v.name]
	reason, whole := wholly()[v.name]
	switch {
	case other && v.taken():
		wrong = append(wrong, "accepted, though it is said to need "+need.what)
	case whole && !v.taken():
		wrong = append(wrong, "refused, though it is said that "+reason)
	case v.tier == "-" && v.taken() && !whole:
		wrong = append(wrong, "accepted, and expected_test.go does not say why")
	case v.wanted() && len(v.owed()) > 0 && *all:
		wrong = append(wrong, v.owed()[0].String())
	case strings.Contains(v.note, "unknown field") && v.taken() && !v.warnedOfUnknown():
		wrong = append(wrong, "an unknown field that nobody warned of")
	}
	return wrong
}

func (v *verdict) warnedOfUnknown() bool {
	return slices.ContainsFunc(v.warned, func(p load.Problem) bool { return strings.HasPrefix(p.Text, "unknown field in") })
}

// What this repository shows comes up.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/envoy.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	s := newStage(t, "")
	for _, file := range files {
		v := s.read(entry{name: filepath.Base(filepath.Dir(file)), path: file, kind: "bootstrap", tier: "1"})
		if len(v.refused) > 0 || v.down != "" {
			t.Errorf("%s: %v %s", file, v.refused, v.down)
		}
	}
}

var indices = regexp.MustCompile(`\[[^\]]*\]`)

// reason is what a problem has in common with those of other files.
func reason(p load.Problem) string {
	if _, url, ok := strings.Cut(p.Text, "with type URL: '"); ok {
		return "type " + strings.TrimSuffix(url, "'")
	}
	fields := strings.Split(indices.ReplaceAllString(p.Path, ""), ".")
	return strings.Join(fields[max(0, len(fields)-2):], ".") + ": " + p.Text
}

// report is the share of each tier, and what blocks the most files.
func report(verdicts []verdict, asked int) string {
	total, accepted, others, right, wrong := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, 0
	files, alone := map[string]map[string]bool{}, map[string]int{}
	var b, rest strings.Builder
	for _, v := range verdicts {
		total[v.tier]++
		switch need, other := elsewhere()[v.name]; {
		case v.taken():
			accepted[v.tier]++
			if !v.wanted() {
				fmt.Fprintf(&rest, "accepted though of tier %s: %s: %s\n", v.tier, v.name, cmp.Or(wholly()[v.name], "all that is in it is built"))
			}
		case other && len(v.owed()) == 0:
			others[v.tier]++
			fmt.Fprintf(&rest, "tier %s, refused: %s: needs %s\n", v.tier, v.name, need.what)
		case v.right():
			right[v.tier]++
			fmt.Fprintf(&rest, "tier %s, refused, as Envoy does: %s: %s\n", v.tier, v.name, rightlyRefused()[v.name].why)
		}
		if v.down != "" {
			fmt.Fprintf(&rest, "did not come up: %s: %s\n", v.name, v.down)
		}
		for _, p := range v.wrong {
			wrong++
			fmt.Fprintf(&rest, "refused, neither for what is not built nor as Envoy does: %s: %s\n", v.name, p)
		}
		if !v.wanted() {
			continue
		}
		mine := map[string]bool{}
		for _, p := range v.owed() {
			mine[reason(p)] = true
		}
		for r := range mine {
			if files[r] == nil {
				files[r] = map[string]bool{}
			}
			files[r][v.name] = true
			if len(mine) == 1 {
				alone[r]++
			}
		}
	}
	for _, tier := range slices.Sorted(maps.Keys(total)) {
		fmt.Fprintf(&b, "tier %s: %d of %d accepted (%d %%)", tier, accepted[tier], total[tier], 100*accepted[tier]/total[tier])
		if n := others[tier]; n > 0 {
			fmt.Fprintf(&b, ", %d need what another issue builds", n)
		}
		if n := right[tier]; n > 0 {
			fmt.Fprintf(&b, ", %d are refused as Envoy does", n)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%d requests answered; %d refusals that are neither of what is not built nor Envoy's\n", asked, wrong)
	b.WriteString("\nWhat blocks the other files of tier 1 and 2 (how many; how many alone; what):\n")
	order := slices.SortedFunc(maps.Keys(files), func(x, y string) int {
		return cmp.Or(cmp.Compare(len(files[y]), len(files[x])), cmp.Compare(alone[y], alone[x]), cmp.Compare(x, y))
	})
	for _, r := range order {
		fmt.Fprintf(&b, "%4d %4d  %s   (%s)\n", len(files[r]), alone[r], r, slices.Sorted(maps.Keys(files[r]))[0])
	}
	return b.String() + "\n" + rest.String()
}
