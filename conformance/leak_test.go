package conformance

// No private key, password or ticket key is in anything that the program shows:
// admin pages, logs, its files, a crash.

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config/pki"
)

// traces are the forms in which a secret might show: as it stands, and its middle
// as base64, hexadecimal, and as Go prints bytes.
func traces(secret string) (all []string) {
	raw := []byte(secret)
	if block, _ := pem.Decode(raw); block != nil {
		for line := range strings.Lines(secret) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && len(line) > 20 {
				all = append(all, line)
			}
		}
		raw = block.Bytes[len(block.Bytes)/2-40 : len(block.Bytes)/2+40] // the key is in the middle of PKCS #8
		raw = raw[:len(raw)/3*3]
	}
	return append(all, string(raw), base64.StdEncoding.EncodeToString(raw)[:24], hex.EncodeToString(raw[8:24]), strings.Trim(fmt.Sprint(raw[8:24]), "[]"))
}

func TestSecretsAreShownNowhere(t *testing.T) {
	ca := pki.New(t, "ca")
	inContext, inFile, static, bySDS := ca.Issue(pki.Leaf{}), ca.Issue(pki.Leaf{}), ca.Issue(pki.Leaf{}), ca.Issue(pki.Leaf{})
	ticket := rand.Text() + rand.Text() + rand.Text() + rand.Text()
	ticket = ticket[:80]
	dir := t.TempDir()
	put := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
		return name
	}
	quote := func(text string) string { return `"` + strings.ReplaceAll(text, "\n", `\n`) + `"` }
	pair := func(p *pki.Pair) string {
		return fmt.Sprintf("{certificate_chain: {inline_string: %s}, private_key: {inline_string: %s}}", quote(p.ChainPEM()), quote(p.KeyPEM()))
	}
	files := fmt.Sprintf("{certificate_chain: {filename: %s}, private_key: {filename: %s}}", put("chain", inFile.ChainPEM()), put("key", inFile.KeyPEM()))
	sds := put("sds.yaml", "version_info: '1'\nresources:\n- '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n  name: by-sds\n  tls_certificate: "+pair(bySDS)+"\n")
	admin, listen := freeAddr(t), freeAddr(t)
	chain := func(port, context string) string {
		host, _, _ := strings.Cut(listen, ":")
		return fmt.Sprintf(`
  - name: l%s
    address: {socket_address: {address: %s, port_value: %s}}
    filter_chains:
    - transport_socket:
        name: tls
        typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, %s}
      filters:
      - name: tcp
        typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: s, cluster: c}
`, port, host, port, context)
	}
	port := func() string { _, p, _ := strings.Cut(freeAddr(t), ":"); return p }
	ticketBytes := base64.StdEncoding.EncodeToString([]byte(ticket))
	boot := write(t, fmt.Sprintf(`
node: {id: me, cluster: c}
admin: {address: {socket_address: {address: %s, port_value: %s}}}
static_resources:
  secrets:
  - {name: static, tls_certificate: %s}
  - {name: tickets, session_ticket_keys: {keys: [{inline_bytes: %s}]}}
  clusters:
  - {name: c, type: STATIC, load_assignment: {cluster_name: c}}
  listeners:%s%s%s
`, strings.Split(admin, ":")[0], strings.Split(admin, ":")[1], pair(static), ticketBytes,
		chain(port(), "common_tls_context: {tls_certificates: ["+pair(inContext)+"]}, session_ticket_keys_sds_secret_config: {name: tickets}"),
		chain(port(), "common_tls_context: {tls_certificates: ["+files+"]}"),
		chain(port(), "common_tls_context: {tls_certificate_sds_secret_configs: [{name: static}, {name: by-sds, sds_config: {path_config_source: {path: "+sds+"}}}]}"),
	))
	cache := filepath.Join(dir, "cache")
	p := launch(t, program(t, "./cmd/attache"), "-c", boot, "-l", "debug", "--config-cache", cache)
	until(t, "ready", func() bool { return asked("http://"+admin+"/ready") == "LIVE\n" })

	// A key that does not fit, so that the log has something to say of it.
	put("key", bySDS.KeyPEM())
	until(t, "the failure in the log", func() bool { return strings.Contains(p.said.String(), "cannot be read") })

	shown := map[string]string{}
	for _, page := range []string{
		"/", "/certs", "/clusters", "/clusters?format=json", "/config_dump", "/config_dump?include_eds", "/help", "/listeners?format=json",
		"/memory", "/server_info", "/stats", "/stats?format=json", "/stats/prometheus", "/explain?path=/", "/logging",
	} {
		r, err := http.Get("http://" + admin + page)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		shown[page] = string(body)
	}
	if dump := shown["/config_dump"]; !strings.Contains(dump, "by-sds") || !strings.Contains(dump, "static_secrets") || !strings.Contains(dump, "[redacted]") {
		t.Errorf("the dump knows too little of secrets: %s", dump)
	}
	if certs := shown["/certs"]; strings.Count(certs, "serial_number") != 4 {
		t.Errorf("/certs has not all four: %s", certs)
	}
	p.signal(syscall.SIGQUIT) // Go's own crash: every goroutine with its arguments
	p.code(10 * time.Second)
	shown["log and crash"] = p.said.String()
	if !strings.Contains(shown["log and crash"], "goroutine ") {
		t.Error("there was no crash to look at")
	}
	kept, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range kept {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		shown[name] = string(text)
	}
	for where, text := range shown {
		for what, secret := range map[string]string{"context": inContext.KeyPEM(), "file": inFile.KeyPEM(), "static": static.KeyPEM(), "SDS": bySDS.KeyPEM(), "ticket": ticket} {
			for _, trace := range traces(secret) {
				if strings.Contains(text, trace) {
					t.Errorf("%s shows the key of %s", where, what)
				}
			}
		}
	}
}
