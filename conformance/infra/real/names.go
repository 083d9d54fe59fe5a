package real

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// serveNames answers for services of the cluster (NAME.NAMESPACE.svc.cluster.local),
// by asking the API server each time, until the test ends.
func serveNames(t testing.TB, client kubernetes.Interface, addr string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		a.Authoritative = true
		if ip := addressOf(t, client, q.Question[0].Name); ip == nil {
			a.Rcode = dns.RcodeNameError
		} else if q.Question[0].Qtype == dns.TypeA {
			a.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}, A: ip}}
		}
		_ = w.WriteMsg(a)
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown(); <-ended })
}

func addressOf(t testing.TB, client kubernetes.Interface, name string) net.IP {
	full, ok := strings.CutSuffix(strings.ToLower(name), ".svc.cluster.local.")
	service, ns, both := strings.Cut(full, ".")
	if !ok || !both {
		return nil
	}
	s, err := client.CoreV1().Services(ns).Get(t.Context(), service, metav1.GetOptions{})
	if err != nil || s.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	return net.ParseIP(s.Spec.ClusterIP)
}
