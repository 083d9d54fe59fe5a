//go:build infra

package infra

// The chart by Helm itself: what it renders, what its schema refuses, and how a
// release lives on a cluster whose API server enforces the rights and the pod
// security that it asks for.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	hooksv1 "k8s.io/api/admissionregistration/v1"
	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

const chart = "../../charts/attache"

// helm runs it without anything of the user's.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), real.Binary(t, "helm"), args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := helm(t, args...)
	if err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// valuesFiles are those of the chart: none, the one for production, CI's.
func valuesFiles(t *testing.T) (sets [][]string) {
	t.Helper()
	all, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(all) == 0 {
		t.Fatal("no values in ci", err)
	}
	sets = [][]string{nil}
	for _, f := range append(all, chart+"/values-ha.yaml") {
		sets = append(sets, []string{"-f", f})
	}
	return sets
}

// values is values.yaml.
func values(t *testing.T) (v map[string]any) {
	t.Helper()
	text, err := os.ReadFile(chart + "/values.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestChartRenders(t *testing.T) {
	for _, set := range valuesFiles(t) {
		t.Run(filepath.Base(strings.Join(append([]string{"default"}, set...), "/")), func(t *testing.T) {
			for _, version := range []string{"1.27.0", "1.36.0"} { // the oldest and the newest
				mustHelm(t, append([]string{"lint", "--strict", "--kube-version", version, chart}, set...)...)
				render := append([]string{"template", "r", chart, "-n", "attache", "--kube-version", version}, set...)
				if once := mustHelm(t, render...); mustHelm(t, render...) != once {
					t.Error("two renders differ")
				}
			}
		})
	}
}

// TestChartSchema puts an unknown key into every map and a value of another type
// in every place, and wants all of them named.
func TestChartSchema(t *testing.T) {
	open := []string{"config.server", "dashboards.labels", "nodeSelector", "resources.limits", "resources.requests"} // keys are the user's, or another's
	var unknown, wrong []string
	var typos, types func(path string, v map[string]any) map[string]any
	typos = func(path string, v map[string]any) map[string]any {
		v = maps.Clone(v)
		for key, x := range v {
			if m, ok := x.(map[string]any); ok && len(m) > 0 && !slices.Contains(open, path+key) {
				v[key] = typos(path+key+".", m)
			}
		}
		v["typo"] = 1
		unknown = append(unknown, "/"+strings.ReplaceAll(strings.TrimSuffix(path, "."), ".", "/"))
		return v
	}
	types = func(path string, v map[string]any) map[string]any {
		v = maps.Clone(v)
		for key, x := range v {
			if m, ok := x.(map[string]any); ok && len(m) > 0 && !slices.Contains(open, path+key) {
				v[key] = types(path+key+".", m)
				continue
			}
			wrong = append(wrong, "/"+strings.ReplaceAll(path+key, ".", "/"))
			if _, isText := x.(string); isText {
				v[key] = []any{1}
			} else {
				v[key] = "text of no meaning here"
			}
		}
		return v
	}
	for _, x := range []struct {
		change func(string, map[string]any) map[string]any
		paths  *[]string
	}{{typos, &unknown}, {types, &wrong}} {
		text, err := json.Marshal(x.change("", values(t)))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "values.json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := helm(t, "template", "r", chart, "-f", file)
		if err == nil {
			t.Fatal("taken")
		}
		for _, p := range *x.paths {
			if !strings.Contains(out, "'"+strings.TrimSuffix(p, "/")+"'") {
				t.Errorf("%s is not refused in\n%s", p, out)
			}
		}
	}
}

// TestChartValuesAreUsed wants every key of values.yaml in a template, and no
// other one there.
func TestChartValuesAreUsed(t *testing.T) {
	var text strings.Builder
	err := filepath.WalkDir(chart+"/templates", func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var p []byte
			p, err = os.ReadFile(path)
			text.Write(p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, v := range values(t) {
		if !strings.Contains(text.String(), ".Values."+key) {
			t.Errorf("no template uses %s", key)
		}
		if m, ok := v.(map[string]any); ok && key != "config" && key != "resources" && key != "nodeSelector" {
			for inner := range m {
				if !strings.Contains(text.String(), "."+inner) {
					t.Errorf("no template uses %s.%s", key, inner)
				}
			}
		}
	}
}

// TestChartRestarts: what the program watches rolls no pod, what it reads at its
// start only does.
func TestChartRestarts(t *testing.T) {
	pod := func(change string) string {
		return mustHelm(t, "template", "r", chart, "--kube-version", "1.36.0", "--show-only", "templates/deployment.yaml", "--set-json", change)
	}
	before := pod(`config.ambassadors=[]`)
	if pod(`config.ambassadors=[{"name":"web"}]`) != before {
		t.Error("another ambassador is another pod")
	}
	if pod(`injector.defaults={"log-level":"debug"}`) != before {
		t.Error("another default of sidecars is another pod")
	}
	if pod(`config.server={"load_reports":"10s"}`) == before {
		t.Error("another server is the same pod")
	}
}

// previous is the chart as it was in its version before this one.
const previous = "testdata/attache-0.1.0.tgz"

// TestChartOnCluster installs the previous version, upgrades to this one and to the
// values for production, goes back to the previous one, and uninstalls. The pods are
// kwok's; the program itself runs here, with the rights of the release's service
// account and nothing else.
func TestChartOnCluster(t *testing.T) {
	k := real.StartKube(t)
	const ns = "attache"
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest",
	}}}
	if _, err := k.Client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	k.Service("cache", cachePort, true)
	k.StatefulSet("cache", 2)
	config := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(config, []byte(`
config:
  ambassadors:
  - name: web
    sidecars: {cluster: web}
    ports: [{name: cache, port: 11211, protocol: memcached, service: "k8s://default/cache:main"}]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		return mustHelm(t, append(args, "--kubeconfig", k.Kubeconfig, "-n", ns)...)
	}
	ready := func(replicas int32) { // Helm waits until so many are ready, and not until those that go have gone
		t.Helper()
		real.Until(t, 20*time.Second, fmt.Sprintf("%d replicas are ready and no more", replicas), func() bool {
			d, err := k.Client.AppsV1().Deployments(ns).Get(t.Context(), "attache", metav1.GetOptions{})
			return err == nil && d.Status.ReadyReplicas == replicas
		})
	}
	run("install", "attache", previous, "-f", config, "--wait", "--timeout", "60s")
	ready(1)
	notes := run("upgrade", "attache", chart, "-f", config, "--set", "gatewayRoutes.enabled=true", "--wait", "--timeout", "60s")
	if !strings.Contains(notes, "attache.attache:18000") || strings.Contains(notes, "It serves nobody") {
		t.Error(notes)
	}
	ready(1)
	t.Run("rights", func(t *testing.T) { chartRights(t, k, ns) })
	t.Run("ambassadors", func(t *testing.T) { chartAmbassadors(t, k, ns) })
	t.Run("routes", func(t *testing.T) { chartRoutes(t, k, ns) })
	t.Run("no injector answers, and that is ignored", func(t *testing.T) { nobodyAnswers(t, k, hooksv1.Ignore) })
	t.Run("injector", func(t *testing.T) { chartInjects(t, k, ns, 2) })
	run("upgrade", "attache", chart, "-f", config, "-f", chart+"/values-ha.yaml", "--wait", "--timeout", "60s")
	ready(3)
	t.Run("no injector answers, and that fails", func(t *testing.T) { nobodyAnswers(t, k, hooksv1.Fail) })
	t.Run("replicas", func(t *testing.T) { chartReplicas(t, k, ns) })
	if _, err := k.Client.CoreV1().Services(ns).Get(t.Context(), "attache-peers", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := k.Client.PolicyV1().PodDisruptionBudgets(ns).Get(t.Context(), "attache", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	run("rollback", "attache", "1", "--wait", "--timeout", "60s")
	ready(1)
	run("upgrade", "attache", chart, "-f", config, "--set", "crds.keep=false", "--wait", "--timeout", "60s")
	run("uninstall", "attache", "--wait", "--timeout", "60s")
	left := k.LeftOf(ns)
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// chartRights runs attache-control as the release's service account, with the
// release's own file.
func chartRights(t *testing.T, k *real.Kube, ns string) {
	ctx := t.Context()
	file, err := k.Client.CoreV1().ConfigMaps(ns).Get(ctx, "attache", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	account := asToken(t, k.Kubeconfig, tokenOf(t, k, ns, "attache"), kubeconfig)
	if _, err := account.CoreV1().Secrets(ns).List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("secrets: %v", err)
	}
	if _, err := account.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("pods: %v", err)
	}
	text := file.Data["attache-control.yaml"] + fmt.Sprintf("\nsources: {k8s: {kind: kubernetes, kubeconfig: %q}}\n", kubeconfig)
	path := filepath.Join(t.TempDir(), "attache-control.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ports := real.Ports(t, 2)
	status := fmt.Sprintf("127.0.0.1:%d", ports[1])
	p := real.Start(t, "attache-control", program(t, "attache-control"), "-c", path,
		fmt.Sprintf("--listen=127.0.0.1:%d", ports[0]), "--status-address="+status)
	p.Ready(30*time.Second, func() bool { _, err := get(http.DefaultClient, "http://"+status+"/ready"); return err == nil })
	k.Endpoints("cache", 2)
	real.Until(t, 20*time.Second, "two instances of k8s://default/cache:main", func() bool {
		text, _ := get(http.DefaultClient, "http://"+status+"/metrics")
		return strings.Contains(text, `attache_control_set_instances{set="k8s://default/cache:main#rendezvous"`)
	})
}

// chartInjects runs what the release runs: the Job's container as the Job's
// account, which makes the certificate and tells the webhook its CA, and the
// program at the address of the injector's service. Then pods are made.
func chartInjects(t *testing.T, k *real.Kube, ns string, revision int) {
	ctx := t.Context()
	job, err := k.Client.BatchV1().Jobs(ns).Get(ctx, fmt.Sprint("attache-injector-", revision), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template.Spec
	as := filepath.Join(t.TempDir(), "kubeconfig")
	account := asToken(t, k.Kubeconfig, tokenOf(t, k, ns, pod.ServiceAccountName), as)
	if _, err := account.CoreV1().Secrets(ns).List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("secrets: %v", err)
	}
	certify := func() string {
		t.Helper()
		out, err := exec.CommandContext(ctx, program(t, "attache-control"), append(slices.Clone(pod.Containers[0].Args), "--kubeconfig", as)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if said := certify(); !strings.Contains(said, "a new CA and certificate") || !strings.Contains(said, "knows the CA") {
		t.Error(said)
	}
	if said := certify(); said != "secret attache/attache-injector-tls is good\n" {
		t.Error(said)
	}
	injectorOf(t, k, ns)
	t.Run("pods", func(t *testing.T) { injectedPods(t, k) })
	t.Run("beside another", func(t *testing.T) { twoInjectors(t, k) })
}

// injectorOf runs attache-control with the release's own settings and the
// certificate of its secret, where the API server looks for it: at the address of
// its service, which is a local one here (netns.sh).
func injectorOf(t *testing.T, k *real.Kube, ns string) {
	ctx := t.Context()
	service, err := k.Client.CoreV1().Services(ns).Get(ctx, "attache-injector", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := k.Client.CoreV1().Secrets(ns).Get(ctx, "attache-injector-tls", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	settings, err := k.Client.CoreV1().ConfigMaps(ns).Get(ctx, "attache-injector", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	as := filepath.Join(t.TempDir(), "kubeconfig")
	asToken(t, k.Kubeconfig, tokenOf(t, k, ns, "attache"), as)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"tls.crt": string(secret.Data["tls.crt"]), "tls.key": string(secret.Data["tls.key"]), "inject.yaml": settings.Data["inject.yaml"],
		"control.yaml": fmt.Sprintf("sources: {k8s: {kind: kubernetes, kubeconfig: %q}}\nambassadors: []\n", as),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ports := real.Ports(t, 2)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	p := real.Start(t, "attache-control", program(t, "attache-control"), "-c", dir+"/control.yaml", "--listen="+at(0), "--status-address="+at(1),
		"--inject-address="+service.Spec.ClusterIP+":443", "--inject-settings="+dir+"/inject.yaml", "--inject-certificate="+dir+"/tls.crt", "--inject-key="+dir+"/tls.key")
	p.Ready(30*time.Second, func() bool { _, err := get(http.DefaultClient, "http://"+at(1)+"/ready"); return err == nil })
}

// injectedPods makes pods in every way of asking, and looks at what the API
// server keeps of them.
func injectedPods(t *testing.T, k *real.Kube) {
	ctx := t.Context()
	for name, labels := range map[string]map[string]string{
		"asks":   {"attache.dev/inject": "enabled", "pod-security.kubernetes.io/enforce": "restricted"},
		"silent": {},
	} {
		if _, err := k.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	no, yes := false, true
	uid := int64(1000)
	create := func(ns, name string, labels, annotations map[string]string) (*corev1.Pod, error) {
		return k.Client.CoreV1().Pods(ns).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: annotations},
			Spec: corev1.PodSpec{
				AutomountServiceAccountToken: &no,
				InitContainers:               []corev1.Container{restricted("theirs", uid)},
				Containers:                   []corev1.Container{restricted("app", uid)},
				SecurityContext:              &corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			},
		}, metav1.CreateOptions{})
	}
	app := map[string]string{"app": "web"}
	for _, x := range []struct {
		ns, name            string
		labels, annotations map[string]string
		injected            bool
		refused             string
	}{
		{ns: "asks", name: "by-namespace", labels: app, injected: true},
		{ns: "asks", name: "declines", labels: map[string]string{"app": "web", "attache.dev/inject": "disabled"}},
		{ns: "asks", name: "declines-by-annotation", labels: app, annotations: map[string]string{"attache.dev/inject": "disabled"}},
		{ns: "asks", name: "cannot-be", labels: app, annotations: map[string]string{"attache.dev/admin-port": "no"}, refused: `annotation attache.dev/admin-port: "no": want a number from 1 to 65535`},
		{ns: "silent", name: "silent", labels: app},
		{ns: "silent", name: "by-label", labels: map[string]string{"app": "web", "attache.dev/inject": "enabled"}, injected: true},
		{ns: "silent", name: "by-annotation", labels: app, annotations: map[string]string{"attache.dev/inject": "enabled"}, injected: true},
		{ns: "kube-system", name: "never", labels: app, annotations: map[string]string{"attache.dev/inject": "enabled"}},
	} {
		pod, err := create(x.ns, x.name, x.labels, x.annotations)
		switch {
		case x.refused != "":
			if err == nil || !strings.Contains(err.Error(), x.refused) {
				t.Errorf("%s: %v, want %s", x.name, err, x.refused)
			}
		case err != nil:
			t.Errorf("%s: %v", x.name, err)
		case !x.injected:
			if len(pod.Spec.InitContainers) != 1 || len(pod.Spec.Containers) != 1 {
				t.Errorf("%s: injected", x.name)
			}
		default:
			first := pod.Spec.InitContainers[0]
			if len(pod.Spec.InitContainers) != 2 || first.Name != "attache" || first.RestartPolicy == nil || *first.RestartPolicy != corev1.ContainerRestartPolicyAlways {
				t.Errorf("%s: %+v", x.name, pod.Spec.InitContainers)
			}
			if !strings.Contains(strings.Join(first.Args, " "), "--service-cluster web") {
				t.Errorf("%s: %q", x.name, first.Args)
			}
		}
	}
}

// restricted is a container that Pod Security lets in.
func restricted(name string, uid int64) corev1.Container {
	no := false
	return corev1.Container{Name: name, Image: "app:1", SecurityContext: &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, RunAsUser: &uid, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}}
}

func tokenOf(t *testing.T, k *real.Kube, ns, account string) string {
	t.Helper()
	seconds := int64(3600)
	token, err := k.Client.CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), account,
		&authv1.TokenRequest{Spec: authv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

// asToken makes a client, and its file, of a token on the cluster of another file.
func asToken(t *testing.T, like, token, path string) kubernetes.Interface {
	t.Helper()
	c, err := clientcmd.LoadFromFile(like)
	if err != nil {
		t.Fatal(err)
	}
	for name := range c.AuthInfos {
		c.AuthInfos[name] = &api.AuthInfo{Token: token}
	}
	if err := clientcmd.WriteToFile(*c, path); err != nil {
		t.Fatal(err)
	}
	rest, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
