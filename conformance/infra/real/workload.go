package real

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/retry"
)

func (k *Kube) createNodes(names ...string) {
	k.t.Helper()
	for _, name := range names {
		_, err := k.Client.CoreV1().Nodes().Create(k.ctx(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"topology.kubernetes.io/zone": "z-" + name, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
		}}, metav1.CreateOptions{})
		k.must(err)
	}
}

// Service makes a service in the namespace default for the pods labelled
// app=name, with one port named "main"; headless has no address of its own.
func (k *Kube) Service(name string, port int32, headless bool) {
	k.t.Helper()
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "main", Port: port, TargetPort: intstr.FromInt32(port)}},
		},
	}
	if headless {
		s.Spec.ClusterIP = corev1.ClusterIPNone
	}
	_, err := k.Client.CoreV1().Services("default").Create(k.ctx(), s, metav1.CreateOptions{})
	k.must(err)
}

// StatefulSet makes replicas pods named name-0, name-1, ... of a service with
// the same name, all started at once.
func (k *Kube) StatefulSet(name string, replicas int32) {
	k.t.Helper()
	_, err := k.Client.AppsV1().StatefulSets("default").Create(k.ctx(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			ServiceName: name, Replicas: &replicas, PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: podTemplate(name),
		},
	}, metav1.CreateOptions{})
	k.must(err)
}

// Deployment makes replicas pods labelled app=name with names that do not last.
func (k *Kube) Deployment(name string, replicas int32) {
	k.t.Helper()
	_, err := k.Client.AppsV1().Deployments("default").Create(k.ctx(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: podTemplate(name),
		},
	}, metav1.CreateOptions{})
	k.must(err)
}

func podTemplate(app string) corev1.PodTemplateSpec {
	grace := int64(4)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Containers:                    []corev1.Container{{Name: "main", Image: "none"}},
		},
	}
}

// Scale sets the replicas of a StatefulSet or Deployment named name; again, if a
// controller wrote to it meanwhile.
func (k *Kube) Scale(name string, replicas int32) {
	k.t.Helper()
	k.must(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		sets := k.Client.AppsV1().StatefulSets("default")
		set, err := sets.Get(k.ctx(), name, metav1.GetOptions{})
		if err == nil {
			set.Spec.Replicas = &replicas
			_, err = sets.Update(k.ctx(), set, metav1.UpdateOptions{})
			return err
		}
		deployments := k.Client.AppsV1().Deployments("default")
		d, err := deployments.Get(k.ctx(), name, metav1.GetOptions{})
		if err == nil {
			d.Spec.Replicas = &replicas
			_, err = deployments.Update(k.ctx(), d, metav1.UpdateOptions{})
		}
		return err
	}))
}

// DeletePod begins the end of a pod: it is Terminating for its grace period (4 s)
// and then gone.
func (k *Kube) DeletePod(name string) {
	k.t.Helper()
	err := k.Client.CoreV1().Pods("default").Delete(k.ctx(), name, metav1.DeleteOptions{})
	if !apierrors.IsNotFound(err) {
		k.must(err)
	}
}

// Endpoints waits until the API server's own slices of a service have exactly n
// endpoints, each ready and none ending: from there on it is for those who watch
// to know. The controller manager takes its time when the machine is busy, and
// backs off when its API server was away.
func (k *Kube) Endpoints(service string, n int) {
	k.t.Helper()
	Until(k.t, 2*kubeTime, fmt.Sprintf("the slices of %s have %d endpoints", service, n), func() bool {
		list, err := k.Client.DiscoveryV1().EndpointSlices("default").List(k.ctx(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
		if err != nil {
			return false
		}
		all, ready := 0, 0
		for _, s := range list.Items {
			all += len(s.Endpoints)
			for _, e := range s.Endpoints {
				if c := e.Conditions; c.Ready != nil && *c.Ready && (c.Terminating == nil || !*c.Terminating) {
					ready++
				}
			}
		}
		return all == n && ready == n
	})
}

// Pod is a pod that has an address.
type Pod struct {
	Name string
	Addr netip.Addr
	UID  string
}

// ReadyPods waits until exactly n pods of app are ready and none is ending, and
// gives them in the order of their names.
func (k *Kube) ReadyPods(app string, n int) (pods []Pod) {
	k.t.Helper()
	Until(k.t, kubeTime, "the pods of "+app+" are ready", func() bool {
		list, err := k.Client.CoreV1().Pods("default").List(k.ctx(), metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil || len(list.Items) != n {
			return false
		}
		pods = nil
		for _, p := range list.Items {
			addr, err := netip.ParseAddr(p.Status.PodIP)
			if err != nil || p.DeletionTimestamp != nil || !ready(&p) {
				return false
			}
			pods = append(pods, Pod{p.Name, addr, string(p.UID)})
		}
		return true
	})
	slices.SortFunc(pods, func(a, b Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods
}

func ready(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func (k *Kube) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}
