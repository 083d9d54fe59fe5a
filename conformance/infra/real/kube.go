package real

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The ranges that netns.sh makes local.
const (
	kwokPods     = "10.244.0.1/16"
	serviceRange = "10.96.0.0/16"
)

// kubeTime is how long one part of the control plane may take.
const kubeTime = 60 * time.Second

// Kube is a Kubernetes control plane whose nodes and pods kwok fakes: a pod is
// ready as soon as it is scheduled, and has an address of the pod range, on
// which whoever tests may listen.
type Kube struct {
	Etcd, APIServer, Controllers, Scheduler, Kwok *Process
	// Kubeconfig is a file with the rights of cluster-admin.
	Kubeconfig string
	Client     kubernetes.Interface

	t    testing.TB
	dir  string
	etcd string
	host string // where pods find the API server; "" where they do not ask for it
	api  int
	ca   *Authority
	sign string // the key that signs service accounts' tokens
}

// StartKube runs etcd, the API server, the controller manager, the scheduler and
// kwok with two nodes, n1 in zone z-n1 and n2 in z-n2.
func StartKube(t testing.TB) *Kube {
	t.Helper()
	k := &Kube{t: t, dir: t.TempDir(), ca: NewAuthority(t)}
	k.startControlPlane()
	k.startKwok()
	k.createNodes("n1", "n2")
	return k
}

func (k *Kube) startControlPlane() {
	k.t.Helper()
	k.sign = k.ca.Issue("service-accounts", Subject{CommonName: "service-accounts"}.named()).Key
	k.startEtcd()
	k.startAPIServer()
	k.Kubeconfig = k.kubeconfig("admin", Subject{CommonName: "admin", Organization: "system:masters"})
	k.Client = k.client()
	k.APIServer.Ready(kubeTime, k.ready)
	k.startControllers()
}

func (s Subject) named() Subject { s.DNS = append(s.DNS, s.CommonName); return s }

func (k *Kube) startEtcd() {
	ports := Ports(k.t, 2)
	k.etcd = "http://" + hostPort(ports[0])
	peer := "http://" + hostPort(ports[1])
	k.Etcd = Start(k.t, "etcd", Binary(k.t, "etcd"), "--name", "t", "--data-dir", filepath.Join(k.dir, "etcd"),
		"--listen-client-urls", k.etcd, "--advertise-client-urls", k.etcd, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "t="+peer, "--unsafe-no-fsync", "--log-level", "warn")
}

func (k *Kube) startAPIServer() {
	k.api = Ports(k.t, 1)[0]
	cert := k.ca.Issue("apiserver", Subject{
		CommonName: "kube-apiserver", DNS: []string{"localhost", "kubernetes.default.svc"},
		IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1), net.ParseIP(nodeAddress)},
	})
	admin := k.ca.Issue("kubelet-client", Subject{CommonName: "apiserver", Organization: "system:masters"}.named())
	bind := []string{"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"}
	if k.host != "" {
		bind = []string{"--bind-address=0.0.0.0", "--advertise-address=" + k.host, "--enable-aggregator-routing"}
	}
	k.APIServer = Start(k.t, "kube-apiserver", append([]string{
		Binary(k.t, "hyperkube"), "kube-apiserver", "--etcd-servers=" + k.etcd, fmt.Sprintf("--secure-port=%d", k.api),
		"--tls-cert-file=" + cert.Cert, "--tls-private-key-file=" + cert.Key, "--client-ca-file=" + k.ca.File, "--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + k.sign,
		"--service-account-signing-key-file=" + k.sign, "--service-cluster-ip-range=" + serviceRange, "--allow-privileged",
		"--kubelet-preferred-address-types=InternalIP", "--kubelet-client-certificate=" + admin.Cert, "--kubelet-client-key=" + admin.Key,
	}, bind...)...)
}

func (k *Kube) startControllers() {
	ports := Ports(k.t, 2)
	manager := k.kubeconfig("kcm", Subject{CommonName: "system:kube-controller-manager"})
	k.Controllers = Start(k.t, "kube-controller-manager", Binary(k.t, "hyperkube"), "kube-controller-manager", "--kubeconfig="+manager,
		"--authentication-kubeconfig="+manager, "--authorization-kubeconfig="+manager, "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", ports[0]), "--root-ca-file="+k.ca.File, "--service-account-private-key-file="+k.sign,
		"--use-service-account-credentials", "--leader-elect=false")
	scheduler := k.kubeconfig("scheduler", Subject{CommonName: "system:kube-scheduler"})
	k.Scheduler = Start(k.t, "kube-scheduler", Binary(k.t, "hyperkube"), "kube-scheduler", "--kubeconfig="+scheduler,
		"--authentication-kubeconfig="+scheduler, "--authorization-kubeconfig="+scheduler, "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", ports[1]), "--leader-elect=false")
	k.Controllers.Ready(kubeTime, func() bool { // pods need it
		_, err := k.Client.CoreV1().ServiceAccounts("default").Get(k.ctx(), "default", metav1.GetOptions{})
		return err == nil
	})
}

func (k *Kube) startKwok() {
	k.Kwok = Start(k.t, "kwok", Binary(k.t, "kwok"), "--kubeconfig="+k.Kubeconfig, "--config="+Binary(k.t, "kwok-stages.yaml"),
		"--manage-all-nodes=true", "--cidr="+kwokPods, "--node-ip=10.244.255.1", "--node-lease-duration-seconds=40")
}

// RestartAPIServer kills the API server, keeps it away for a while and waits
// until it is ready again. Its watches end as in a crash.
func (k *Kube) RestartAPIServer(away func()) {
	k.t.Helper()
	k.APIServer.Kill()
	away()
	k.APIServer.Restart()
	k.APIServer.Ready(kubeTime, k.ready)
}

func (k *Kube) ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return k.Client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
}

// kubeconfig makes a user and a file that speaks for it.
func (k *Kube) kubeconfig(user string, s Subject) string {
	k.t.Helper()
	pair := k.ca.Issue(user, s.named())
	return write(k.t, k.dir, user+".kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: t, cluster: {server: "https://127.0.0.1:%d", certificate-authority: %q}}]
users: [{name: u, user: {client-certificate: %q, client-key: %q}}]
contexts: [{name: t, context: {cluster: t, user: u}}]
current-context: t
`, k.api, k.ca.File, pair.Cert, pair.Key))
}

func (k *Kube) client() kubernetes.Interface {
	k.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", k.Kubeconfig)
	if err != nil {
		k.t.Fatal(err)
	}
	config.WarningHandler = rest.NoWarnings{}
	config.QPS = -1 // five a second are too few for tests, and for a cluster's DNS
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		k.t.Fatal(err)
	}
	return client
}

func (k *Kube) ctx() context.Context { return k.t.Context() }
