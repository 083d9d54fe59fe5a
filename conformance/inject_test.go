package conformance

// What `attache inject` writes into a pod runs: its arguments are given to the
// program as the kubelet gives them, and the control plane gives it its ports.

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const jobToInject = `apiVersion: batch/v1
kind: Job
metadata: {name: bill}
spec:
  template:
    metadata:
      labels: {app: web}
      annotations: {attache.dev/native: "false", attache.dev/admin-port: "%d"}
    spec: {containers: [{name: bill, image: "bill:1"}]}
`

func TestInjectedSidecar(t *testing.T) {
	web := freeAddr(t)
	_, port, _ := strings.Cut(web, ":")
	p := startPair(t, fmt.Sprintf("services: {web: [%q]}\n", hello(t)), fmt.Sprintf(
		"ambassadors:\n- name: web\n  sidecars: {cluster: web}\n  ports: [{name: web, port: %s, protocol: http, service: \"file://web\"}]\n", port))
	var adminPort int
	if _, err := fmt.Sscanf(p.admin, "127.0.0.1:%d", &adminPort); err != nil {
		t.Fatal(err)
	}
	ready := func() (int, string) { return attache(t, "ready", "--admin", p.admin) }
	if code, said := ready(); code != 1 || !strings.Contains(said, "refused") {
		t.Errorf("ready before it runs: %d %s", code, said)
	}
	file := write(t, fmt.Sprintf(jobToInject, adminPort))
	code, said := attache(t, "inject", "-f", file, "-o", "yaml", "--image", "attache:1", "--control-plane", p.control)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	exit := filepath.Join(t.TempDir(), "exit")
	argv := sidecarArgv(t, said, "/run/attache/exit", exit)
	if !slices.Contains(argv, "bill-1.default") {
		t.Errorf("no node id in %q", argv)
	}
	p.sidecar = launch(t, argv...)
	p.sidecar.serving("tcp", web)
	until(t, "attache ready says yes", func() bool { code, said := ready(); return code == 0 && said == "LIVE\n" })
	resp, err := http.Get("http://" + web)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := body(resp.Body); err != nil || text != "hello" {
		t.Errorf("%q %v", text, err)
	}
	if err := os.WriteFile(exit, nil, 0o600); err != nil { // the application's last word
		t.Fatal(err)
	}
	if code := p.sidecar.code(5 * time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &p.sidecar.said)
	}
}

// sidecarArgv is how the kubelet runs the sidecar of an injected Job "bill": with
// variables, a writable directory, and what else it replaces.
func sidecarArgv(t *testing.T, injected string, more ...string) []string {
	t.Helper()
	var job struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Name string
						Args []string
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(injected), &job); err != nil {
		t.Fatalf("%v in\n%s", err, injected)
	}
	containers := job.Spec.Template.Spec.Containers
	if len(containers) != 2 || containers[0].Name != "attache" || containers[1].Name != "bill" {
		t.Fatalf("%+v", containers)
	}
	argv := []string{program(t, "./cmd/attache")}
	for _, arg := range containers[0].Args {
		argv = append(argv, strings.NewReplacer(append(more, "$$", "$", "$(POD_NAME)", "bill-1", "$(POD_NAMESPACE)", "default", "$(POD_ZONE)", "",
			"/var/lib/attache", t.TempDir())...).Replace(arg))
	}
	return argv
}

func TestInjectSaysWhatItDoesNot(t *testing.T) {
	file := write(t, "{kind: Pod, metadata: {name: a, labels: {app: a}}, spec: {hostNetwork: true}}\n---\n{kind: Pod, metadata: {name: b, labels: {app: b}, annotations: {attache.dev/x: y}}, spec: {containers: [{name: b}]}}\n")
	with := []string{"inject", "-f", file, "--image", "attache:1", "--control-plane", "a:1"}
	code, said := attache(t, with...)
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	mustHave(t, said, "Pod a: stays as it is: it is in the node's network", "Pod b: annotation attache.dev/x: there is no such annotation", "+    attache.dev/status: injected attache:1, ambassador b")
	for _, x := range []struct {
		args []string
		code int
		said string
	}{
		{[]string{"inject"}, 2, "no file: give -f FILE"},
		{[]string{"inject", "-f", file}, 2, "give --settings FILE, or --image and --control-plane"},
		{append(with, "-o", "xml"), 2, `-o "xml": want diff or yaml`},
		{[]string{"inject", "-f", write(t, "{kind: Pod, metadata: {name: c, annotations: {attache.dev/native: maybe}}}"), "--image", "a", "--control-plane", "a:1"}, 1, `document 1: Pod c: annotation attache.dev/native: "maybe": want true or false`},
		{[]string{"inject", "--help"}, 0, "--control-plane"},
		{[]string{"ready", "--help"}, 0, "--admin"},
		{[]string{"ready", "now"}, 2, `unexpected argument "now"`},
	} {
		if code, said := attache(t, x.args...); code != x.code || !strings.Contains(said, x.said) {
			t.Errorf("%q: %d %s; want %d %s", x.args, code, said, x.code, x.said)
		}
	}
}
