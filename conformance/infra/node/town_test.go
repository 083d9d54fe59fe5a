//go:build infra

package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

const (
	chart = "../../../charts/attache"
	// previous is the chart of the version before, as it was.
	previous = "../testdata/attache-0.1.0.tgz"
	// release is the namespace of the chart's release.
	release = "attache"
	// shop is where the services are, till where those are that use them.
	shop, till = "shop", "till"
	// cachePort is memcached's, webPort the web service's, reportPort where an application says how it is.
	cachePort, webPort, reportPort = 11211, 8080, 9000
)

// town is a cluster with one node, the chart's release, services and those who use them.
type town struct {
	*testing.T
	k *real.Kube
}

// helm runs it without anything of the user's.
func (x *town) helm(args ...string) string {
	x.Helper()
	cmd := exec.CommandContext(x.Context(), real.Binary(x, "helm"), append(args, "--kubeconfig", x.k.Kubeconfig, "-n", release)...)
	home := x.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		x.Fatalf("helm %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), x.pods(release))
	}
	return out.String()
}

// pods tells how the pods of a namespace are, for messages.
func (x *town) pods(ns string) string {
	var b strings.Builder
	pods, err := x.k.Client.CoreV1().Pods(ns).List(x.Context(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	for _, p := range pods.Items {
		fmt.Fprintf(&b, "%s %s %s\n", p.Name, p.Status.Phase, p.Status.Message)
		for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
			state, _ := json.Marshal(c.State)
			fmt.Fprintf(&b, "  %s: ready %v, %d restarts, %s\n", c.Name, c.Ready, c.RestartCount, state)
			log, err := x.k.Client.CoreV1().Pods(ns).GetLogs(p.Name, &corev1.PodLogOptions{Container: c.Name, TailLines: new(int64(15))}).DoRaw(x.Context())
			fmt.Fprintf(&b, "%s%v\n", log, err)
		}
	}
	events, _ := x.k.Client.CoreV1().Events(ns).List(x.Context(), metav1.ListOptions{})
	for _, e := range events.Items {
		if e.Type == corev1.EventTypeWarning {
			fmt.Fprintf(&b, "%s %s: %s\n", e.InvolvedObject.Name, e.Reason, e.Message)
		}
	}
	return b.String()
}

func (x *town) must(err error) {
	x.Helper()
	if err != nil {
		x.Fatal(err)
	}
}

func (x *town) namespace(name string, labels map[string]string) {
	x.Helper()
	_, err := x.k.Client.CoreV1().Namespaces().Create(x.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	x.must(err)
}

// container is one that Pod Security restricted lets in.
func container(name, image string, args ...string) corev1.Container {
	return corev1.Container{Name: name, Image: image, Args: args, SecurityContext: &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}}
}

// template is a pod of one container with a share of the CPU: without one a busy machine
// lets it wait for seconds.
func template(app string, grace int64, c corev1.Container) corev1.PodTemplateSpec {
	c.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false), TerminationGracePeriodSeconds: &grace, Containers: []corev1.Container{c},
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(65532)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		},
	}
}

// answers is a probe that a port is listened on.
func answers(port int32) *corev1.Probe {
	return &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(port)}}}
}

// services starts three shards of memcached and two pods of a web service.
func (x *town) services() {
	x.Helper()
	x.namespace(shop, nil)
	for name, port := range map[string]int32{"memcached": cachePort, "web": webPort} {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Name: "main", Port: port, TargetPort: intstr.FromInt32(port)}},
		}}
		_, err := x.k.Client.CoreV1().Services(shop).Create(x.Context(), s, metav1.CreateOptions{})
		x.must(err)
	}
	memcached := container("main", "localhost/memcached:1", "-l", "0.0.0.0", "-U", "0", "-m", "16", "-t", "1")
	memcached.ReadinessProbe = answers(cachePort)
	// A shard that is told to end answers on until all have heard of it.
	memcached.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 3}}}
	_, err := x.k.Client.AppsV1().StatefulSets(shop).Create(x.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "memcached"},
		Spec: appsv1.StatefulSetSpec{
			ServiceName: "memcached", Replicas: new(int32(3)), PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "memcached"}}, Template: template("memcached", 10, memcached),
		},
	}, metav1.CreateOptions{})
	x.must(err)
	web := container("main", "localhost/town:1")
	web.Command, web.ReadinessProbe = []string{"/town", "serve", ":8080"}, answers(webPort)
	_, err = x.k.Client.AppsV1().Deployments(shop).Create(x.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, Template: template("web", 10, web),
		},
	}, metav1.CreateOptions{})
	x.must(err)
	x.ready(shop, "memcached", 3)
	x.ready(shop, "web", 2)
}

// ready waits until exactly n pods of an app are ready and none is ending.
func (x *town) ready(ns, app string, n int) (pods []corev1.Pod) {
	x.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		list, err := x.k.Client.CoreV1().Pods(ns).List(x.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
		x.must(err)
		good := 0
		for _, p := range list.Items {
			if p.DeletionTimestamp == nil && isReady(&p) {
				good++
			}
		}
		if good == n && len(list.Items) == n {
			return list.Items
		}
		if time.Now().After(deadline) {
			x.Fatalf("%d of %d pods of %s are ready, and there are %d\n%s", good, n, app, len(list.Items), x.pods(ns))
		}
	}
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// restart gives all pods of an app new ones in turn, as kubectl rollout restart does, and
// waits until that is done.
func (x *town) restart(app string, n int) {
	x.Helper()
	patch := fmt.Appendf(nil, `{"spec": {"template": {"metadata": {"annotations": {"restarted": %q}}}}}`, time.Now())
	var err error
	if app == "memcached" {
		_, err = x.k.Client.AppsV1().StatefulSets(shop).Patch(x.Context(), app, "application/strategic-merge-patch+json", patch, metav1.PatchOptions{})
	} else {
		_, err = x.k.Client.AppsV1().Deployments(shop).Patch(x.Context(), app, "application/strategic-merge-patch+json", patch, metav1.PatchOptions{})
	}
	x.must(err)
	real.Until(x, 3*time.Minute, app+" is new", func() bool {
		list, err := x.k.Client.CoreV1().Pods(shop).List(x.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil || len(list.Items) != n {
			return false
		}
		for _, p := range list.Items {
			if p.DeletionTimestamp != nil || p.Annotations["restarted"] == "" || !isReady(&p) || !strings.Contains(string(patch), p.Annotations["restarted"]) {
				return false
			}
		}
		return true
	})
}

// report is what an application says of itself: see town/use.go.
type report struct {
	FirstMicros              int64
	Cache, Web, Failed, Lost int
	Last                     string
	LastServed               bool
	Route                    string
	Starved                  int64
}

func (r report) String() string {
	return fmt.Sprintf("first answer after %.1f ms, %d cache and %d web requests, %d failed (%s), %d keys were not there, without a CPU for at most %d ms", float64(r.FirstMicros)/1e3, r.Cache, r.Web, r.Failed, r.Last, r.Lost, r.Starved)
}

// application starts a pod with one annotation that uses its ambassador all the time.
func (x *town) application(name string) *corev1.Pod {
	x.Helper()
	app := container("app", "localhost/town:1")
	app.Command, app.ReadinessProbe = []string{"/town", "use"}, answers(reportPort)
	t := template("till", 30, app)
	t.Spec.RestartPolicy = corev1.RestartPolicyAlways
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"app": "till", "name": name}, Annotations: map[string]string{"attache.dev/inject": "enabled"},
		Finalizers: []string{"attache.dev/looked-at"}, // else it is gone before its last words are read
	}, Spec: t.Spec}
	_, err := x.k.Client.CoreV1().Pods(till).Create(x.Context(), pod, metav1.CreateOptions{})
	x.must(err)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		pod, err = x.k.Client.CoreV1().Pods(till).Get(x.Context(), name, metav1.GetOptions{})
		x.must(err)
		if isReady(pod) {
			if first := pod.Spec.InitContainers; len(first) != 1 || first[0].Name != "attache" || first[0].RestartPolicy == nil || *first[0].RestartPolicy != corev1.ContainerRestartPolicyAlways {
				x.Fatalf("%s has no native sidecar: %+v", name, first)
			}
			return pod
		}
		if time.Now().After(deadline) {
			x.Fatalf("%s is not ready\n%s", name, x.pods(till))
		}
	}
}

// says asks an application how it is.
func (x *town) says(pod *corev1.Pod) (r report) {
	x.Helper()
	a, err := http.Get("http://" + pod.Status.PodIP + ":9000/")
	x.must(err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	x.must(err)
	x.must(json.Unmarshal(text, &r))
	return r
}

// end deletes an application's pod and gives its last words.
func (x *town) end(pod *corev1.Pod) (r report) {
	x.Helper()
	pods := x.k.Client.CoreV1().Pods(till)
	x.must(pods.Delete(x.Context(), pod.Name, metav1.DeleteOptions{}))
	real.Until(x, time.Minute, pod.Name+" has ended", func() bool {
		p, err := pods.Get(x.Context(), pod.Name, metav1.GetOptions{})
		x.must(err)
		for _, c := range p.Status.ContainerStatuses {
			if c.Name == "app" && c.State.Terminated != nil {
				x.must(json.Unmarshal([]byte(c.State.Terminated.Message), &r))
				return true
			}
		}
		return false
	})
	_, err := pods.Patch(x.Context(), pod.Name, "application/merge-patch+json", []byte(`{"metadata": {"finalizers": null}}`), metav1.PatchOptions{})
	x.must(err)
	return r
}

// startJob starts a Job with one annotation.
func (x *town) startJob(name string) {
	x.Helper()
	c := container("app", "localhost/town:1")
	c.Command = []string{"/town", "job"}
	t := template("till", 30, c)
	t.Annotations = map[string]string{"attache.dev/inject": "enabled"}
	t.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err := x.k.Client.BatchV1().Jobs(till).Create(x.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{Template: t, BackoffLimit: new(int32(0))},
	}, metav1.CreateOptions{})
	x.must(err)
}

// endOfJob waits until it is complete, gives its application's last words and how long it
// was there, and removes it.
func (x *town) endOfJob(name string) (r report, took time.Duration) {
	x.Helper()
	jobs := x.k.Client.BatchV1().Jobs(till)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		j, err := jobs.Get(x.Context(), name, metav1.GetOptions{})
		x.must(err)
		if j.Status.Succeeded > 0 && j.Status.CompletionTime != nil {
			took = j.Status.CompletionTime.Sub(j.CreationTimestamp.Time)
			break
		}
		if j.Status.Failed > 0 || time.Now().After(deadline) {
			x.Fatalf("the job %s: %+v\n%s", name, j.Status, x.pods(till))
		}
	}
	list, err := x.k.Client.CoreV1().Pods(till).List(x.Context(), metav1.ListOptions{LabelSelector: "job-name=" + name})
	x.must(err)
	for _, c := range list.Items[0].Status.ContainerStatuses {
		x.must(json.Unmarshal([]byte(c.State.Terminated.Message), &r))
	}
	x.must(jobs.Delete(x.Context(), name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}))
	return r, took
}
