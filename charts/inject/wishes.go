package inject

// What one pod says about its sidecar, by annotations.

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// wishes are the settings' defaults with the pod's annotations over them.
type wishes struct {
	ambassador, image, logLevel string
	native, cache               bool
	adminPort, metricsPort      int
	concurrency                 int
	drain, startup, wait        time.Duration
	require                     []string
	cpuRequest, cpuLimit        string
	memoryRequest, memoryLimit  string
	args                        []string
}

// knob is one annotation, without its prefix, and the default's key.
type knob struct {
	name, value, meaning string
	set                  func(*wishes, string) error
}

// knobs are all there are; Annotations prints them.
func knobs() []knob {
	return []knob{
		{"ambassador", "", "the ambassador whose ports it gets: the node's cluster. By default the label app.kubernetes.io/name, app or k8s-app, or the service account", text(func(w *wishes) *string { return &w.ambassador }, words)},
		{"image", "", "the sidecar's image", text(func(w *wishes) *string { return &w.image }, words)},
		{"log-level", "info", "trace, debug, info, warning, error, critical or off", text(func(w *wishes) *string { return &w.logLevel }, levels)},
		{"native", "", "true: an init container with restartPolicy Always, where the server has it; false: an ordinary container that ends when " + ExitFile + " is there", boolean(func(w *wishes) *bool { return &w.native })},
		{"config-cache", "true", "keep the last configuration on an emptyDir, to start from while the control plane is away", boolean(func(w *wishes) *bool { return &w.cache })},
		{"admin-port", "9901", "of the admin server on localhost", number(func(w *wishes) *int { return &w.adminPort }, 1, 65535)},
		{"metrics-port", "", "where Prometheus reads /stats/prometheus, on the pod's address, and nothing else is served; by default nowhere", number(func(w *wishes) *int { return &w.metricsPort }, 1, 65535)},
		{"concurrency", "1", "workers; 0: as many as the CPUs that it may use", number(func(w *wishes) *int { return &w.concurrency }, 0, 256)},
		{"drain-time", "5s", "how long requests in flight have after SIGTERM", duration(func(w *wishes) *time.Duration { return &w.drain }, time.Hour)},
		{"wait-for-app", "", "of an ordinary container: how long the application goes on to be served after SIGTERM, before the drain; less if it says that it has ended, by " + ExitFile + " or POST /exit on " + ExitSocket, duration(func(w *wishes) *time.Duration { return &w.wait }, time.Hour)},
		{"require", "", "clusters, separated by blanks: the sidecar is not ready, and the application of a native one does not start, before a host of each has answered", func(w *wishes, v string) error { w.require = strings.Fields(v); return nil }},
		{"startup-time", "120s", "how long it may take to become ready before it is started again", duration(func(w *wishes) *time.Duration { return &w.startup }, time.Hour)},
		{"cpu-request", "10m", "", text(func(w *wishes) *string { return &w.cpuRequest }, quantity)},
		{"cpu-limit", "", "none by default: a throttled proxy is a slow application", text(func(w *wishes) *string { return &w.cpuLimit }, quantity)},
		{"memory-request", "32Mi", "", text(func(w *wishes) *string { return &w.memoryRequest }, quantity)},
		{"memory-limit", "128Mi", "GOMEMLIMIT is 85 % of it", text(func(w *wishes) *string { return &w.memoryLimit }, quantity)},
		{"extra-args", "", "more flags of attache, separated by blanks", func(w *wishes, v string) error { w.args = strings.Fields(v); return nil }},
	}
}

// Annotation is one row of the documentation.
type Annotation struct{ Name, Default, Meaning string }

// Annotations are those that a pod may carry, in the order of their importance.
func Annotations() (rows []Annotation) {
	for _, k := range knobs() {
		rows = append(rows, Annotation{Prefix + k.name, k.value, k.meaning})
	}
	return rows
}

func knobOf(name string) *knob {
	all := knobs()
	if i := slices.IndexFunc(all, func(k knob) bool { return k.name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

func knobNames() (names []string) {
	for _, k := range knobs() {
		names = append(names, k.name)
	}
	return names
}

// wishes reads the pod's annotations.
func (p *pod) wishes(s *Settings) (*wishes, error) {
	w := &wishes{image: s.Image, native: s.Native, ambassador: p.ambassador()}
	for _, k := range knobs() {
		value, where := cmp.Or(s.Defaults[k.name], k.value), "default "+k.name
		if own, ok := p.Metadata.Annotations[Prefix+k.name]; ok {
			value, where = own, "annotation "+Prefix+k.name
		}
		if value == "" {
			continue
		}
		if err := k.set(w, value); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
	}
	if w.native && !s.Native {
		return nil, errors.New("annotation " + Prefix + "native: true: this cluster has no native sidecars (Kubernetes 1.29 and later)")
	}
	if w.ambassador == "" {
		return nil, errors.New("annotation " + Prefix + "ambassador: is required: the pod has neither a label app.kubernetes.io/name, app or k8s-app nor a service account")
	}
	return w, nil
}

// unknown are annotations of ours that nobody reads, with the nearest that is.
func (p *pod) unknown() (warnings []string) {
	for _, name := range slices.Sorted(maps.Keys(p.Metadata.Annotations)) {
		rest, ours := strings.CutPrefix(name, Prefix)
		if ours && name != Opt && name != Status && knobOf(rest) == nil {
			warnings = append(warnings, fmt.Sprintf("annotation %s: there is no such annotation: want one of inject, %s",
				name, strings.Join(knobNames(), ", ")))
		}
	}
	switch v := cmp.Or(p.Metadata.Annotations[Opt], p.Metadata.Labels[Opt]); v {
	case "", "enabled", "disabled", "true", "false":
	default:
		warnings = append(warnings, fmt.Sprintf("%s: %q: want enabled or disabled", Opt, v))
	}
	return warnings
}

// ambassador is the name that a pod has by what it is.
func (p *pod) ambassador() string {
	for _, label := range []string{"app.kubernetes.io/name", "app", "k8s-app"} {
		if v := p.Metadata.Labels[label]; v != "" {
			return v
		}
	}
	if a := p.Spec.ServiceAccountName; a != "default" {
		return a
	}
	return ""
}

// form is what a value must look like, in words.
type form struct {
	re   *regexp.Regexp
	want string
}

var (
	words    = form{regexp.MustCompile(`^[!-~]+$`), "one word"}
	quantity = form{regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$`), "a quantity such as 100m or 64Mi"}
	levels   = form{regexp.MustCompile(`^(trace|debug|info|warning|error|critical|off)$`), "trace, debug, info, warning, error, critical or off"}
)

func text(of func(*wishes) *string, f form) func(*wishes, string) error {
	return func(w *wishes, v string) error {
		if !f.re.MatchString(v) {
			return fmt.Errorf("%q: want %s", v, f.want)
		}
		*of(w) = v
		return nil
	}
}

func boolean(of func(*wishes) *bool) func(*wishes, string) error {
	return func(w *wishes, v string) error {
		if v != "true" && v != "false" {
			return fmt.Errorf("%q: want true or false", v)
		}
		*of(w) = v == "true"
		return nil
	}
}

func number(of func(*wishes) *int, low, high int) func(*wishes, string) error {
	return func(w *wishes, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return fmt.Errorf("%q: want a number from %d to %d", v, low, high)
		}
		*of(w) = n
		return nil
	}
}

func duration(of func(*wishes) *time.Duration, most time.Duration) func(*wishes, string) error {
	return func(w *wishes, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < time.Second || d > most {
			return fmt.Errorf("%q: want a time from 1s to %s", v, most)
		}
		*of(w) = d
		return nil
	}
}
