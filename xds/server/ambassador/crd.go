package ambassador

// The resource's definition: the grammar of the file once more, as the OpenAPI
// schema that a Kubernetes API server enforces.

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Names of the resource.
const (
	ResourceGroup   = "attache.dev"
	ResourceVersion = "v1alpha1"
	ResourceKind    = "Ambassador"
	ResourcePlural  = "ambassadors"
)

// Bounds of what a resource may hold, which the API server checks before anybody
// reads it.
const (
	maxItems      = 1024
	maxProperties = 256
)

// CRDSpec is the spec of the CustomResourceDefinition, as YAML from "spec:" on.
func CRDSpec() []byte {
	text, err := yaml.Marshal(object{"spec": crdSpec()})
	if err != nil {
		panic("ambassador: " + err.Error())
	}
	return text
}

// CRD is the whole CustomResourceDefinition, as YAML.
func CRD() []byte {
	return append(fmt.Appendf(nil, "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: %s.%s\n",
		ResourcePlural, ResourceGroup), CRDSpec()...)
}

func crdSpec() object {
	column := func(name, kind, path, about string) object {
		return object{"name": name, "type": kind, "jsonPath": path, "description": about}
	}
	condition := func(name string) string { return `.status.conditions[?(@.type=="` + name + `")].status` }
	return object{
		"group": ResourceGroup,
		"scope": "Namespaced",
		"names": object{
			"kind": ResourceKind, "listKind": ResourceKind + "List", "plural": ResourcePlural, "singular": "ambassador",
			"shortNames": []any{"amb"}, "categories": []any{"attache"},
		},
		"versions": []any{object{
			"name": ResourceVersion, "served": true, "storage": true,
			"subresources": object{"status": object{}},
			"additionalPrinterColumns": []any{
				column("Accepted", "string", condition("Accepted"), "Whether the spec can be served."),
				column("Programmed", "string", condition("Programmed"), "Whether every sidecar has taken it."),
				column("Sidecars", "integer", ".status.sidecars.connected", "Sidecars that it is served to."),
				column("Synced", "integer", ".status.sidecars.synced", "Those that have taken all of it."),
				column("Refused", "integer", ".status.sidecars.refused", "Those that refuse something of it."),
				column("Age", "date", ".metadata.creationTimestamp", "Since when it is there."),
			},
			"schema": object{"openAPIV3Schema": object{
				"type":        "object",
				"description": "What a set of pods may reach on localhost: their ambassador's ports, and the services behind them.",
				"required":    []any{"spec"},
				"properties": object{
					"apiVersion": object{"type": "string"},
					"kind":       object{"type": "string"},
					"metadata":   object{"type": "object"},
					"spec":       specSchema(),
					"status":     statusSchema(),
				},
			}},
		}},
	}
}

// specSchema is the file's schema of an ambassador, made structural.
func specSchema() object {
	s := structSchema(reflect.TypeFor[Ambassador](), "")
	properties := s["properties"].(object)
	for _, name := range ofFile {
		delete(properties, name)
	}
	properties["podSelector"] = typeSchema(reflect.TypeFor[PodSelector](), `doc:"`+selectorDoc+`"`)
	delete(s, "required") // of the file's alone: name
	s["description"] = "The pods, and what their ambassador gives them."
	return structural(s)
}

// structural turns a schema of the file into one that an API server takes: what
// can be written in two ways is written in its long one, an unknown field is
// refused without being told so, and everything has a bound. Defaults stay the
// program's, and are told: a default that is stored could never change.
func structural(s object) object {
	if either, ok := s["oneOf"].([]any); ok {
		long := either[1].(object)
		if text := s["description"]; text != nil {
			long["description"] = text
		}
		s = long
	}
	if s["additionalProperties"] == false {
		delete(s, "additionalProperties")
	}
	if d, ok := s["default"]; ok {
		delete(s, "default")
		s["description"] = fmt.Sprintf("%v Default: %s.", s["description"], plainDefault(d))
	}
	switch s["type"] {
	case "string":
		if s["enum"] == nil {
			s["maxLength"] = maxText
		}
	case "integer":
		s["format"] = "int64"
	case "array":
		s["maxItems"] = maxItems
		s["items"] = structural(s["items"].(object))
		if required, _ := s["items"].(object)["required"].([]string); slices.Contains(required, "name") {
			s["x-kubernetes-list-type"], s["x-kubernetes-list-map-keys"] = "map", []any{"name"}
		}
	case "object":
		if of, ok := s["additionalProperties"].(object); ok {
			s["additionalProperties"], s["maxProperties"] = structural(of), maxProperties
		}
		properties, _ := s["properties"].(object)
		for name, of := range properties {
			properties[name] = structural(of.(object))
		}
		if len(properties) == 0 && s["additionalProperties"] == nil {
			s["x-kubernetes-preserve-unknown-fields"] = true // Envoy's own messages
		}
	}
	for _, bound := range []string{"minimum", "maximum"} {
		if n, ok := s[bound].(float64); ok && n == math.Trunc(n) {
			s[bound] = int64(n)
		}
	}
	return s
}

func plainDefault(d any) string {
	if raw, ok := d.(json.RawMessage); ok {
		return string(raw)
	}
	return fmt.Sprint(d)
}

// statusSchema is of what attache-control writes.
func statusSchema() object {
	number := func(about string) object { return object{"type": "integer", "format": "int64", "description": about} }
	text := func(most int, about string) object {
		return object{"type": "string", "maxLength": most, "description": about}
	}
	condition := object{
		"type":     "object",
		"required": []any{"type", "status", "lastTransitionTime", "reason", "message"},
		"properties": object{
			"type":               text(316, "Accepted: the spec can be served. Programmed: it is, and no sidecar refuses anything of it."),
			"status":             object{"type": "string", "enum": []any{"True", "False", "Unknown"}, "description": "Whether it holds."},
			"observedGeneration": number("The generation of the resource that this is about."),
			"lastTransitionTime": object{"type": "string", "format": "date-time", "description": "When status changed."},
			"reason":             text(1024, "In one word."),
			"message":            text(32768, "In words, with the field."),
		},
	}
	return object{
		"type":        "object",
		"description": "What attache-control makes of it.",
		"properties": object{
			"observedGeneration": number("The generation of the resource that the status is about."),
			"conditions": object{
				"type": "array", "maxItems": 8, "items": condition, "description": "What holds of the resource.",
				"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []any{"type"},
			},
			"sidecars": object{
				"type": "object", "description": "Those that it is served to, at all replicas of attache-control together.",
				"properties": object{
					"connected":   number("How many are connected."),
					"synced":      number("How many have taken all of it."),
					"refused":     number("How many go without something, since they or their like refuse it."),
					"lastRefusal": text(2048, "What was refused last, by whom, and why, in the sidecar's words."),
				},
			},
		},
	}
}
