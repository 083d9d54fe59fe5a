package real

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LeftOf names what a release "attache" has left in its namespace and outside: by its
// label, and Helm's records. Ends of pods take longer than Helm waits: it does not look at them.
func (k *Kube) LeftOf(ns string) (left []string) {
	k.t.Helper()
	ctx := k.ctx()
	mine := metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=attache"}
	add := func(kind string, n int, err error) {
		k.must(err)
		if n > 0 {
			left = append(left, fmt.Sprintf("%d %s", n, kind))
		}
	}
	c := k.Client
	deployments, err := c.AppsV1().Deployments(ns).List(ctx, mine)
	add("deployments", len(deployments.Items), err)
	services, err := c.CoreV1().Services(ns).List(ctx, mine)
	add("services", len(services.Items), err)
	maps, err := c.CoreV1().ConfigMaps(ns).List(ctx, mine)
	add("config maps", len(maps.Items), err)
	accounts, err := c.CoreV1().ServiceAccounts(ns).List(ctx, mine)
	add("service accounts", len(accounts.Items), err)
	roles, err := c.RbacV1().ClusterRoles().List(ctx, mine)
	add("cluster roles", len(roles.Items), err)
	bindings, err := c.RbacV1().ClusterRoleBindings().List(ctx, mine)
	add("cluster role bindings", len(bindings.Items), err)
	budgets, err := c.PolicyV1().PodDisruptionBudgets(ns).List(ctx, mine)
	add("disruption budgets", len(budgets.Items), err)
	hooks, err := c.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, mine)
	add("webhook configurations", len(hooks.Items), err)
	jobs, err := c.BatchV1().Jobs(ns).List(ctx, mine)
	add("jobs", len(jobs.Items), err)
	cron, err := c.BatchV1().CronJobs(ns).List(ctx, mine)
	add("cron jobs", len(cron.Items), err)
	secrets, err := c.CoreV1().Secrets(ns).List(ctx, metav1.ListOptions{})
	add("secrets", len(secrets.Items), err)
	text, err := c.Discovery().RESTClient().Get().AbsPath("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").Do(ctx).Raw()
	add("definitions", strings.Count(string(text), "ambassadors.attache.dev"), err)
	return left
}
