package real

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Where a node's pods find the API server, DNS and the node, in the network that
// nodens.sh makes.
const nodeAddress = "10.244.1.1"

// ContainerdSocket is where containerd is asked, in the mounts that nodens.sh makes.
const ContainerdSocket = "/run/containerd.sock"

// nodeName is the one node's.
const nodeName = "node"

// nodeGroups is the variable by which nodens.sh says below which control group all those
// of the node are.
const nodeGroups = "ATTACHE_NODE_GROUPS"

// StartNode runs a Kubernetes control plane and one real node: containerd, kubelet and
// kube-proxy, whose pods are real and know the images that are given (Image). Names of
// services are answered by a DNS server of its own. It is for programs that run by
// nodens.sh. The error says why this machine allows no node.
func StartNode(t testing.TB, images ...string) (*Kube, error) {
	t.Helper()
	k := &Kube{t: t, dir: t.TempDir(), ca: NewAuthority(t), host: nodeAddress}
	for _, program := range []string{"containerd", "runc", "ctr", "/usr/lib/cni/bridge", "/usr/lib/cni/host-local"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, err
		}
	}
	if err := k.startContainerd(images); err != nil {
		return nil, err
	}
	k.startControlPlane()
	serveNames(t, k.Client, nodeAddress+":53")
	t.Cleanup(k.clearNode)
	kubelet := k.startKubelet()
	proxy := write(t, k.dir, "proxy.yaml", fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: %s
clusterCIDR: 10.244.0.0/16
clientConnection: {kubeconfig: %q}
conntrack: {maxPerCore: 0, min: 0}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
`, nodeName, k.Kubeconfig))
	Start(t, "kube-proxy", Binary(t, "hyperkube"), "kube-proxy", "--config="+proxy)
	for deadline := time.Now().Add(kubeTime); ; time.Sleep(100 * time.Millisecond) {
		node, err := k.Client.CoreV1().Nodes().Get(k.ctx(), nodeName, metav1.GetOptions{})
		if err == nil {
			for _, c := range node.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
					return k, k.tryPod()
				}
				if c.Type == corev1.NodeReady {
					err = fmt.Errorf("%s", c.Message)
				}
			}
		}
		if !kubelet.Running() || time.Now().After(deadline) {
			return nil, fmt.Errorf("the kubelet has no ready node: %w\n%s", err, tail(kubelet.Log()))
		}
	}
}

// clearNode ends what runs in the node's control groups and takes the kubelet's mounts
// away, when the kubelet has gone: its folder is the test's to remove.
func (k *Kube) clearNode() {
	all, _ := filepath.Glob("/proc/[0-9]*/cgroup")
	for _, path := range all {
		groups, _ := os.ReadFile(path)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if strings.Contains(string(groups), ":/"+os.Getenv(nodeGroups)+"/") && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if at := strings.Fields(line)[1]; strings.HasPrefix(at, k.dir+"/") {
			_ = syscall.Unmount(at, syscall.MNT_DETACH)
		}
	}
}

// tryPod starts one pod and asks it something: where that does not go, it is the machine
// and nothing of ours.
func (k *Kube) tryPod() error {
	pods := k.Client.CoreV1().Pods("default")
	_, err := pods.Create(k.ctx(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "first"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "main", Image: "localhost/town:1", Command: []string{"/town", "serve", ":8080"}}},
	}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = pods.Delete(k.ctx(), "first", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}) }()
	for deadline := time.Now().Add(kubeTime); ; time.Sleep(100 * time.Millisecond) {
		pod, err := pods.Get(k.ctx(), "first", metav1.GetOptions{})
		// By its own address, and the API server by the one of its service.
		if err == nil && pod.Status.PodIP != "" && accepts(pod.Status.PodIP+":8080") && accepts("10.96.0.1:443") {
			return nil
		}
		if time.Now().After(deadline) {
			state, _ := json.Marshal(pod.Status)
			return fmt.Errorf("a pod does not start, or services have no addresses: %w %s", err, state)
		}
	}
}

// startContainerd runs it with its state below /run, which nodens.sh has made its own.
func (k *Kube) startContainerd(images []string) error {
	cni := filepath.Join(k.dir, "cni")
	if err := os.Mkdir(cni, 0o755); err != nil {
		return err
	}
	write(k.t, cni, "10.conflist", `{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipam": {
    "type": "host-local", "dataDir": "/run/ipam", "ranges": [[{"subnet": "10.244.1.0/24", "rangeStart": "10.244.1.10"}]], "routes": [{"dst": "0.0.0.0/0"}]}}
]}`)
	conf := write(k.t, k.dir, "containerd.toml", fmt.Sprintf(`version = 2
root = "%[1]s/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "%[2]s"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/town:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "%[1]s/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`, k.dir, ContainerdSocket))
	p := Start(k.t, "containerd", "containerd", "--config", conf)
	ctr := func(args ...string) ([]byte, error) {
		return exec.CommandContext(k.ctx(), "ctr", append([]string{"-a", ContainerdSocket, "-n", "k8s.io"}, args...)...).CombinedOutput()
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, err := ctr("version")
		if err == nil {
			break
		}
		if !p.Running() || time.Now().After(deadline) {
			return fmt.Errorf("containerd does not answer: %s\n%s", out, tail(p.Log()))
		}
	}
	for _, path := range images {
		if out, err := ctr("images", "import", path); err != nil {
			return fmt.Errorf("containerd does not take %s: %s", path, out)
		}
	}
	return nil
}

func (k *Kube) startKubelet() *Process {
	resolv := write(k.t, k.dir, "resolv.conf", "")
	conf := write(k.t, k.dir, "kubelet.yaml", fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %q}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://%s
cgroupDriver: cgroupfs
cgroupRoot: /%s
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
address: %[4]s
port: 10250
readOnlyPort: 0
healthzPort: 0
clusterDNS: [%[4]s]
clusterDomain: cluster.local
resolvConf: %[5]q
maxOpenFiles: 20000
nodeStatusUpdateFrequency: 2s
syncFrequency: 5s
evictionHard: {nodefs.available: 1%%, imagefs.available: 1%%, memory.available: 50Mi}
imageGCHighThresholdPercent: 100
serializeImagePulls: false
podLogsDir: /run/pods
staticPodPath: ""
`, k.ca.File, ContainerdSocket, os.Getenv(nodeGroups), nodeAddress, resolv))
	return Start(k.t, "kubelet", Binary(k.t, "hyperkube"), "kubelet", "--config="+conf, "--kubeconfig="+k.Kubeconfig,
		"--hostname-override="+nodeName, "--node-ip="+nodeAddress, "--root-dir="+k.dir+"/kubelet", "--cert-dir="+k.dir+"/pki", "--v=2")
}
