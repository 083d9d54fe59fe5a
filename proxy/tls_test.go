package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/proxyproto"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
)

// TLS through the whole data plane, against Go's own clients and servers.

func common() config.TLS {
	return config.TLS{
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, Curves: []tls.CurveID{tls.X25519, tls.CurveP256},
	}
}

// secret loads what a spec says, under its name.
func (w *town) secret(spec *config.SecretSpec) {
	w.t.Helper()
	s, err := spec.Load(spec.Name, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, old := range w.now.Secrets {
		if old.Key == s.Key {
			w.now.Secrets[i] = s
			return
		}
	}
	w.now.Secrets = append(w.now.Secrets, s)
}

func roots(name string, ca *pki.Authority, c config.Checks) *config.SecretSpec {
	return &config.SecretSpec{Name: name, Validation: &config.ValidationSpec{
		Roots: config.Data{Inline: config.Hide(ca.PEM())}, Checks: c,
	}}
}

func refs(names ...string) (all []config.SecretRef) {
	for _, name := range names {
		all = append(all, config.SecretRef{Key: name, Name: name})
	}
	return all
}

// secure gives a listener's first chain a context.
func secure(l *config.Listener, certs, validation []config.SecretRef) *config.DownstreamTLS {
	d := &config.DownstreamTLS{TLS: common()}
	d.Certificates, d.Validation = certs, validation
	d.RequireClientCertificate = len(validation) > 0
	l.Chains[0].TLS = d
	return d
}

// mutual is a server that wants a certificate of ca's and says whose it saw.
func mutual(t *testing.T, ca *pki.Authority, cert *pki.Pair) *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cert := r.Header.Get("X-Forwarded-Client-Cert")
		if hash, rest, ok := strings.Cut(cert, ";"); ok && len(hash) == len("Hash=")+64 {
			cert = rest
		}
		fmt.Fprintf(w, "%s %s %s %s", r.TLS.PeerCertificates[0].Subject.CommonName, r.TLS.ServerName, r.Header.Get("X-Forwarded-Proto"), cert)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pki.Pool(ca)}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func fetchURL(c *http.Client, url string) (string, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	return do(c, r)
}

func do(c *http.Client, q *http.Request) (string, error) {
	r, err := c.Do(q)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if r.StatusCode != 200 {
		return fmt.Sprint(r.StatusCode, " ", string(b)), err
	}
	return string(b), err
}

// Clients come over mTLS, hosts are reached over mTLS; certificates of both sides
// are rotated under load, and nothing fails.
func TestMutualTLSRotates(t *testing.T) {
	w := newTown(t)
	ca := pki.New(t, "root")
	origin := mutual(t, ca, ca.Issue(pki.Leaf{CommonName: "origin", DNS: []string{"origin.test"}}))
	at := free(t)
	c := edsCluster("up")
	c.HTTP.IdleTimeout = time.Hour
	c.TLS = &config.UpstreamTLS{TLS: common(), MaxSessions: 1}
	c.HTTP.AutoSNI, c.HTTP.AutoSANValidation = true, true
	c.TLS.Certificates, c.TLS.Validation = refs("client"), refs("roots")
	l := webListener("web", at, "table")
	secure(l, refs("server"), refs("roots"))
	h := l.Chains[0].Handler.(*config.HTTP)
	h.ClientCert = config.ClientCert{Forward: config.ClientCertSet, Subject: true, URI: true}
	w.now.Clusters = []*config.Cluster{c}
	w.now.Endpoints = []*config.Endpoints{endpointsAt("up", strings.TrimPrefix(origin.URL, "https://"))}
	w.now.RouteTables = []*config.RouteTable{tableTo("table", "up")}
	w.now.Listeners = []*config.Listener{l}
	rotate := func(n int) {
		w.secret(ca.Issue(pki.Leaf{CommonName: fmt.Sprint("server ", n), DNS: []string{"web.test"}}).Spec("server"))
		w.secret(ca.Issue(pki.Leaf{CommonName: fmt.Sprint("client ", n)}).Spec("client"))
		w.apply()
	}
	w.secret(roots("roots", ca, config.Checks{}))
	rotate(0)
	mine := ca.Issue(pki.Leaf{CommonName: "me", URIs: []string{"spiffe://test/me"}}).TLS()
	var shown atomic.Pointer[string] // the name of the certificate that was last seen
	request := func(c *http.Client) (string, error) {
		r, err := http.NewRequest(http.MethodGet, "https://"+at+"/", nil)
		if err != nil {
			return "", err
		}
		r.Host = "origin.test:8443"
		r.Header.Set("X-Forwarded-Client-Cert", "forged")
		return do(c, r)
	}
	client := func(keepAlive bool) *http.Client {
		return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			DisableKeepAlives: !keepAlive,
			TLSClientConfig: &tls.Config{
				RootCAs: pki.Pool(ca), ServerName: "web.test", Certificates: []tls.Certificate{mine},
				VerifyConnection: func(cs tls.ConnectionState) error {
					shown.Store(&cs.PeerCertificates[0].Subject.CommonName)
					return nil
				},
			},
		}}
	}
	ctx, stop := context.WithCancel(context.Background())
	var load sync.WaitGroup
	done := make(chan bool)
	for i := range 4 {
		load.Go(func() {
			c := client(i%2 == 0)
			defer c.CloseIdleConnections()
			for ctx.Err() == nil {
				got, err := request(c)
				if err != nil || !strings.HasPrefix(got, "client ") || !strings.HasSuffix(got, ` origin.test https Subject="CN=me";URI=spiffe://test/me`) {
					t.Errorf("%q, %v", got, err)
					return
				}
				select {
				case done <- true:
				case <-ctx.Done():
				}
			}
		})
	}
	for n := range 10 {
		rotate(n + 1)
		for range 50 {
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				t.Fatal("no request is answered any more")
			}
		}
	}
	stop()
	load.Wait()
	if got, err := request(client(false)); err != nil || *shown.Load() != "server 10" {
		t.Errorf("after the last rotation: %q, %v, shown %q", got, err, *shown.Load())
	}
	figures := map[string]uint64{}
	for _, f := range w.s.Figures().Rows() {
		figures[f.Name] = f.Value
	}
	if figures["cluster.up.ssl.handshake"] == 0 || figures["listener."+strings.ReplaceAll(at, ":", "_")+".ssl.handshake"] < 10 {
		t.Errorf("handshakes are not counted: %v", figures)
	}
}

// A host that is not who it should be, and a client without a certificate.
func TestTLSRefusals(t *testing.T) {
	w := newTown(t)
	ca, other := pki.New(t, "root"), pki.New(t, "other")
	origin := mutual(t, ca, other.Issue(pki.Leaf{DNS: []string{"origin.test"}}))
	at := free(t)
	c := edsCluster("up")
	c.TLS = &config.UpstreamTLS{TLS: common(), MaxSessions: 1}
	c.TLS.Validation = refs("roots")
	l := webListener("web", at, "table")
	secure(l, refs("server"), refs("roots"))
	w.now = config.Resources{
		Clusters: []*config.Cluster{c}, Listeners: []*config.Listener{l},
		Endpoints:   []*config.Endpoints{endpointsAt("up", strings.TrimPrefix(origin.URL, "https://"))},
		RouteTables: []*config.RouteTable{tableTo("table", "up")},
	}
	w.secret(roots("roots", ca, config.Checks{}))
	w.secret(ca.Issue(pki.Leaf{}).Spec("server"))
	w.apply()
	me := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{ca.Issue(pki.Leaf{}).TLS()}}
	got, err := fetchURL(&http.Client{Transport: &http.Transport{TLSClientConfig: me, DisableKeepAlives: true}}, "https://"+at+"/")
	const why = "reset reason: remote connection failure, transport failure reason: TLS_error:|268435581:SSL routines:OPENSSL_internal:" +
		"CERTIFICATE_VERIFY_FAILED:verify cert failed: X509_verify_cert: certificate verification error at depth 0: " +
		"unable to get local issuer certificate:TLS_error_end"
	if err != nil || !strings.HasPrefix(got, "503 ") || !strings.HasSuffix(got, why) {
		t.Errorf("an origin of another authority's: %q, %v", got, err)
	}
	nobody := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	if got, err := fetchURL(nobody, "https://"+at+"/"); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("a client without a certificate: %q, %v", got, err)
	}
}

// By ALPN a client speaks HTTP/2, and so does attache to a host that chooses it.
func TestHTTP2ByALPN(t *testing.T) {
	w := newTown(t)
	ca := pki.New(t, "root")
	origin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	origin.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(pki.Leaf{DNS: []string{"origin.test"}}).TLS()}}
	origin.EnableHTTP2 = true
	origin.StartTLS()
	t.Cleanup(origin.Close)
	at := free(t)
	l := webListener("web", at, "table")
	secure(l, refs("server"), nil).ALPN = []string{"h2", "http/1.1"}
	l.Chains[0].Handler.(*config.HTTP).HTTP2 = config.H2Defaults()
	w.now.Listeners = []*config.Listener{l}
	w.now.RouteTables = []*config.RouteTable{tableTo("table", "up")}
	w.now.Endpoints = []*config.Endpoints{endpointsAt("up", strings.TrimPrefix(origin.URL, "https://"))}
	w.secret(ca.Issue(pki.Leaf{DNS: []string{"web.test"}}).Spec("server"))
	for _, c := range []struct {
		protocol config.UpstreamProtocol
		h2       bool
		want     string
	}{
		{config.UpstreamHTTP1, true, "HTTP/1.1"},
		{config.UpstreamHTTP2, true, "HTTP/2.0"},
		{config.UpstreamAuto, false, "HTTP/2.0"},
		{config.UpstreamHTTP2, false, "HTTP/2.0"},
	} {
		k := edsCluster("up")
		k.TLS = &config.UpstreamTLS{TLS: common(), SNI: "origin.test", MaxSessions: 1}
		k.HTTP.Protocol, k.HTTP.HTTP2 = c.protocol, config.H2Defaults()
		w.now.Clusters = []*config.Cluster{k}
		w.apply()
		client := &http.Client{Transport: &http.Transport{
			ForceAttemptHTTP2: c.h2, TLSClientConfig: &tls.Config{RootCAs: pki.Pool(ca), ServerName: "web.test"},
		}}
		r, err := client.Get("https://" + at + "/")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if string(b) != c.want || (r.ProtoMajor == 2) != c.h2 {
			t.Errorf("%s: the host spoke %s, the client %s", c.protocol, b, r.Proto)
		}
		client.CloseIdleConnections()
	}
}

// A body that goes to the end of the connection is whole only if TLS says that it
// has ended (RFC 9112, 9.8): else somebody may have cut it.
func TestCutBodyOverTLS(t *testing.T) {
	w := newTown(t)
	ca := pki.New(t, "root")
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.Issue(pki.Leaf{}).TLS()}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(c))
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\nall that there is")
			if err == nil && r.URL.Path == "/cut" {
				c.(*tls.Conn).NetConn().Close()
			}
			c.Close()
		}
	}()
	at := free(t)
	k := edsCluster("up")
	k.TLS = &config.UpstreamTLS{TLS: common(), MaxSessions: 1}
	w.now = config.Resources{
		Clusters: []*config.Cluster{k}, Listeners: []*config.Listener{webListener("web", at, "table")},
		Endpoints:   []*config.Endpoints{endpointsAt("up", l.Addr().String())},
		RouteTables: []*config.RouteTable{tableTo("table", "up")},
	}
	w.apply()
	if got, err := fetchURL(http.DefaultClient, "http://"+at+"/whole"); got != "all that there is" || err != nil {
		t.Errorf("whole: %q, %v", got, err)
	}
	if got, err := fetchURL(http.DefaultClient, "http://"+at+"/cut"); err == nil {
		t.Errorf("cut: %q was taken for the whole", got)
	}
}

// sniListener passes connections on to clusters, by the name that is asked for.
func sniListener(at string, to map[string]string) *config.Listener {
	l := &config.Listener{
		Name: "sni", Address: config.Address{IP: netip.MustParseAddrPort(at)}, BindToPort: true, BufferLimit: 1 << 20,
		TLSInspector: &config.TLSInspector{}, FiltersTimeout: 15 * time.Second,
	}
	for name, cluster := range to {
		ch := config.FilterChain{Name: name, Handler: &config.TCP{StatPrefix: name, Clusters: []config.WeightedCluster{{Name: cluster}}, MaxConnectAttempts: 1}}
		switch name {
		case "plain":
			ch.Match.TransportProtocol = "raw_buffer"
		default:
			ch.Match.ServerNames = []string{name}
		}
		l.Chains = append(l.Chains, ch)
	}
	return l
}

// Connections go by SNI without being opened: the client sees the host's own
// certificate; what is not TLS has its own chain.
func TestPassthroughBySNI(t *testing.T) {
	w := newTown(t)
	ca := pki.New(t, "root")
	at := free(t)
	to := map[string]string{"a.test": "a", "*.b.test": "b", "plain": "p"}
	for name, cluster := range to {
		origin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, cluster) }))
		origin.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(pki.Leaf{DNS: []string{name}}).TLS()}}
		if name == "plain" {
			origin.Start()
		} else {
			origin.StartTLS()
		}
		t.Cleanup(origin.Close)
		w.now.Clusters = append(w.now.Clusters, edsCluster(cluster))
		_, host, _ := strings.Cut(origin.URL, "://")
		w.now.Endpoints = append(w.now.Endpoints, endpointsAt(cluster, host))
	}
	w.now.Listeners = []*config.Listener{sniListener(at, to)}
	w.apply()
	for _, c := range []struct{ scheme, name, want string }{
		{"https", "a.test", "a"}, {"https", "x.b.test", "b"}, {"https", "y.x.b.test", ""}, {"https", "c.test", ""}, {"http", "", "p"},
	} {
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pki.Pool(ca), ServerName: c.name},
		}}
		got, err := fetchURL(client, c.scheme+"://"+at+"/")
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s %s: %q, %v; want %q", c.scheme, c.name, got, err, c.want)
		}
	}
}

// A client's address goes from one PROXY header to the next, with what else was
// said, and is what the request says; without a header nobody is let in.
func TestProxyProtocol(t *testing.T) {
	w := newTown(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	type heard struct {
		h    proxyproto.Header
		rest string
	}
	came := make(chan heard, 4)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var all []byte
			p := make([]byte, 1000)
			for {
				n, err := c.Read(p)
				all = append(all, p[:n]...)
				if h, size, bad := proxyproto.Parse(all); bad != nil || size > 0 && len(all) >= size+5 {
					h.TLVs = append([]byte(nil), h.TLVs...)
					came <- heard{h, string(all[size:])}
					break
				}
				if err != nil {
					break
				}
			}
			c.Close()
		}
	}()
	at := free(t)
	c := edsCluster("up")
	c.ProxyHeader = &config.ProxyHeader{Version: config.ProxyV2, PassAll: true, Added: []config.TLV{{Type: 0xE1, Value: "mine"}}}
	front := &config.Listener{
		Name: "front", Address: config.Address{IP: netip.MustParseAddrPort(at)}, BindToPort: true, BufferLimit: 1 << 20,
		ProxyProtocol: &config.ProxyProtocol{Pass: []byte{0xE0}}, FiltersTimeout: 15 * time.Second,
		Chains: []config.FilterChain{{Handler: &config.TCP{StatPrefix: "t", Clusters: []config.WeightedCluster{{Name: "up"}}, MaxConnectAttempts: 1}}},
	}
	w.now = config.Resources{
		Clusters: []*config.Cluster{c}, Listeners: []*config.Listener{front},
		Endpoints: []*config.Endpoints{endpointsAt("up", l.Addr().String())},
	}
	w.apply()
	source, destination := netip.MustParseAddrPort("192.0.2.7:1234"), netip.MustParseAddrPort("198.51.100.2:443")
	tlvs := proxyproto.AppendTLV(proxyproto.AppendTLV(nil, 0xE0, []byte("theirs")), 0xE2, []byte("dropped"))
	for version := 1; version <= 2; version++ {
		client, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		text := append(proxyproto.Append(nil, &proxyproto.Header{Version: version, Source: source, Destination: destination, TLVs: tlvs}), "hello"...)
		for i := range text { // byte by byte
			if _, err := client.Write(text[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		got := <-came
		want := map[byte]string{0xE1: "mine"}
		if version == 2 {
			want[0xE0] = "theirs"
		}
		for kind, value := range proxyproto.Each(got.h.TLVs) {
			if want[kind] != string(value) {
				t.Errorf("TLV %x: %q", kind, value)
			}
			delete(want, kind)
		}
		if len(want) > 0 || got.h.Source != source || got.h.Destination != destination || got.rest != "hello" {
			t.Errorf("version %d: %+v, missing %v", version, got, want)
		}
		client.Close()
	}
	client, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fmt.Fprint(client, "GET / HTTP/1.1\r\n\r\n")
	if b, err := bufio.NewReader(client).ReadByte(); err == nil {
		t.Errorf("without a header: %q", b)
	}
}
