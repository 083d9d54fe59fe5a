// Package inject puts the ambassador into a pod: it is what the chart's webhook
// answers with, and what `attache inject` does to a file. It knows pods as JSON
// alone, so that the sidecar's binary can have it too.
//
//	pod ──decide──▶ why not            (opted out, hostNetwork, has one already, …)
//	     │
//	     └─read annotations─▶ wishes ──build──▶ operations of a JSON patch (RFC 6902)
//
// The operations only add: a field that somebody else wrote stays as it is, and a
// pod that was injected gets none.
package inject

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Names in the pod.
const (
	// Container is the sidecar's name.
	Container = "attache"
	// Prefix is what every annotation and label of ours begins with.
	Prefix = "attache.dev/"
	// Opt is the label (of a namespace or a pod) and the annotation (of a pod)
	// that asks for the sidecar with "enabled", and declines it with "disabled".
	Opt = Prefix + "inject"
	// Status is the annotation of a pod that has it: the image and the ambassador.
	Status = Prefix + "status"

	cacheVolume = "attache-config-cache"
	runVolume   = "attache-run"
)

// Request is one pod that is about to be made. Any goroutine may use it.
type Request struct {
	// Pod is the pod's JSON, whole.
	Pod []byte
	// Namespace is where it will be; the pod's own field may be empty then.
	Namespace string
	// Wanted says that the namespace asks for sidecars, or the person who runs
	// the command; the pod's own word goes over it.
	Wanted bool
}

// Outcome is what becomes of a pod.
type Outcome struct {
	// Patch is empty if the pod stays as it is; Why says then why, in a few words.
	Patch []Operation
	Why   string
	// Ambassador is the node's cluster that the sidecar asks for its ports with.
	Ambassador string
	// Warnings are annotations that mean nothing here, one a line, each with its
	// name. The pod is treated all the same.
	Warnings []string
}

// Pod decides about one pod. An error is an annotation whose value cannot be
// meant, and names it and what is wanted: the pod is to be refused with it, for
// an application without its ambassador would fail later and say less.
func Pod(r Request, s *Settings) (Outcome, error) {
	var p pod
	if err := json.Unmarshal(r.Pod, &p); err != nil {
		return Outcome{}, fmt.Errorf("pod: %w", err)
	}
	p.Metadata.Namespace = r.Namespace
	warnings := p.unknown()
	if why := p.declined(r.Wanted, s); why != "" {
		return Outcome{Why: why, Warnings: warnings}, nil
	}
	w, err := p.wishes(s)
	if err != nil {
		return Outcome{}, err
	}
	patch, err := p.patch(w, s)
	return Outcome{Patch: patch, Ambassador: w.ambassador, Warnings: warnings}, err
}

// declined is why a pod stays as it is, or nothing.
func (p *pod) declined(wanted bool, s *Settings) string {
	if own, said := p.opted(); said {
		wanted = own
	}
	switch {
	case !wanted:
		return "nobody asks for a sidecar: set " + Opt + ": enabled on the pod or its namespace"
	case slices.Contains(s.NeverIn, p.Metadata.Namespace):
		return "namespace " + p.Metadata.Namespace + " never gets sidecars"
	case p.has(Container):
		return "it has a container " + Container + " already"
	case p.Spec.HostNetwork:
		return "it is in the node's network, where localhost is shared with others"
	}
	return ""
}

// opted is the pod's own word: its annotation, or else its label.
func (p *pod) opted() (yes, said bool) {
	for _, from := range []map[string]string{p.Metadata.Annotations, p.Metadata.Labels} {
		switch from[Opt] {
		case "enabled", "true":
			return true, true
		case "disabled", "false":
			return false, true
		}
	}
	return false, false
}

// pod is what is read of one.
type pod struct {
	Metadata struct {
		Namespace   string            `json:"namespace"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		HostNetwork        bool              `json:"hostNetwork"`
		ServiceAccountName string            `json:"serviceAccountName"`
		InitContainers     []container       `json:"initContainers"`
		Containers         []container       `json:"containers"`
		Volumes            []json.RawMessage `json:"volumes"`
	} `json:"spec"`
}

type container struct {
	Name   string            `json:"name"`
	Mounts []json.RawMessage `json:"volumeMounts"`
}

func (p *pod) has(name string) bool {
	named := func(c container) bool { return c.Name == name }
	return slices.ContainsFunc(p.Spec.InitContainers, named) || slices.ContainsFunc(p.Spec.Containers, named)
}

// Operation is one of RFC 6902, section 4; Op is always "add".
type Operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// patch is what turns the pod into one with a sidecar.
//
//	native  initContainers: [attache (restartPolicy: Always), …yours]   ready before the first of yours starts, ends after the last
//	else    containers: [attache, …yours]                              starts beside yours; ends when the exit file is there
func (p *pod) patch(w *wishes, s *Settings) ([]Operation, error) {
	sidecar, err := p.sidecar(w, s)
	if err != nil {
		return nil, err
	}
	var out operations
	list, there := "/spec/initContainers", len(p.Spec.InitContainers) > 0
	if !w.native {
		list, there = "/spec/containers", len(p.Spec.Containers) > 0
	}
	out.first(list, there, sidecar)
	volumes := []any{}
	if w.cache {
		volumes = append(volumes, object{"name": cacheVolume, "emptyDir": object{"sizeLimit": "64Mi"}})
	}
	if !w.native {
		volumes = append(volumes, object{"name": runVolume, "emptyDir": object{"medium": "Memory", "sizeLimit": "1Mi"}})
		for i, c := range p.Spec.Containers { // the new one stands before them
			at := "/spec/containers/" + strconv.Itoa(i+1) + "/volumeMounts"
			out.last(at, len(c.Mounts) > 0, object{"name": runVolume, "mountPath": runDirectory})
		}
	}
	for i, v := range volumes {
		out.last("/spec/volumes", len(p.Spec.Volumes) > 0 || i > 0, v)
	}
	status := fmt.Sprintf("injected %s, ambassador %s", w.image, w.ambassador)
	if p.Metadata.Annotations == nil {
		out.add("/metadata/annotations", object{Status: status})
	} else {
		out.add("/metadata/annotations/"+pointer(Status), status)
	}
	return out, nil
}
