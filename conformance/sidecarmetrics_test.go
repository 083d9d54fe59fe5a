package conformance

// What Prometheus reads of an injected sidecar, and what the chart's dashboard and alerts
// ask of it.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

const metricsAmbassador = `ambassadors:
- name: web
  sidecars: {cluster: web}
  ports:
  - {name: web, port: %s, protocol: http, service: "file://web", outlier_detection: {consecutive_errors: 3}}
  - {name: cache, port: %s, protocol: memcached, service: "file://cache"}
`

func TestSidecarMetrics(t *testing.T) {
	web, cache, metrics := freeAddr(t), freeAddr(t), freeAddr(t)
	port := func(addr string) string { _, p, _ := strings.Cut(addr, ":"); return p }
	server := hello(t)
	p := startPair(t, fmt.Sprintf("services: {web: [%q], cache: [%q]}\n", server, server), fmt.Sprintf(metricsAmbassador, port(web), port(cache)))
	job := strings.Replace(jobToInject, "attache.dev/native", "attache.dev/metrics-port: \""+port(metrics)+"\", attache.dev/native", 1)
	var admin int
	if _, err := fmt.Sscanf(p.admin, "127.0.0.1:%d", &admin); err != nil {
		t.Fatal(err)
	}
	code, injected := attache(t, "inject", "-f", write(t, fmt.Sprintf(job, admin)), "-o", "yaml", "--image", "attache:1", "--control-plane", p.control)
	if code != 0 || !strings.Contains(injected, "name: attache-metrics") {
		t.Fatalf("exit code %d: %s", code, injected)
	}
	p.sidecar = launch(t, sidecarArgv(t, injected, "$(POD_IP)", "127.0.0.1", "/run/attache", t.TempDir())...)
	for _, addr := range []string{web, cache, metrics} {
		p.sidecar.serving("tcp", addr)
	}
	if code, _ := page(t, "http://"+metrics+"/config_dump"); code != http.StatusNotFound {
		t.Errorf("another page of the admin server: %d", code)
	}
	code, text := page(t, "http://"+metrics+"/stats/prometheus")
	if code != http.StatusOK {
		t.Fatal(code, text)
	}
	exported := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) \S+$|([a-z_]+)="`).FindAllStringSubmatch(text, -1) {
		exported[m[1]+m[2]] = true // a metric, or a label
	}
	for _, file := range []string{"files/dashboard-sidecars.json", "templates/prometheusrule.yaml"} {
		text, err := os.ReadFile("../charts/attache/" + file)
		if err != nil {
			t.Fatal(err)
		}
		asked := regexp.MustCompile(`\benvoy_[a-z0-9_]+`).FindAllString(string(text), -1)
		if len(asked) < 3 {
			t.Errorf("%s asks for %d metrics", file, len(asked))
		}
		for _, one := range asked {
			if !exported[one] {
				t.Errorf("%s asks for %s, which is not exported", file, one)
			}
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(text) {
			t.Errorf("%s is not JSON", file)
		}
	}
}

// page is a GET of one page.
func page(t *testing.T, url string) (status int, text string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	text, err = body(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, text
}
