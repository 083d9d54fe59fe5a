//go:build infra

package infra

// What the API of a Kubernetes says of its objects (OpenAPI 2, from its source),
// as the JSON schemas that kubeconform reads: one file a kind, in which a field
// that the API does not have is refused.

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// fromKubernetes writes the schemas of the "oldest" or the "newest" Kubernetes
// that the chart is for, gives their directory and the version.
func fromKubernetes(t *testing.T, age string) (dir, version string) {
	t.Helper()
	pin, err := os.ReadFile(real.Binary(t, "kubernetes-"+age+".pin"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(real.Binary(t, "kubernetes-"+age+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(text, &api); err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	for name, d := range api.Definitions {
		all[name] = strict(d)
	}
	dir = t.TempDir()
	for name, d := range api.Definitions {
		if file := fileOf(d); file != "" {
			schema := maps.Clone(all[name].(map[string]any))
			schema["definitions"] = reached(all, name)
			text, err := json.Marshal(schema)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, file), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir, strings.TrimSpace(string(pin))
}

// fileOf is how kubeconform names the file of a kind that is an object by itself;
// "" for the others, such as metadata.
func fileOf(definition map[string]any) string {
	kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
	if len(kinds) != 1 {
		return ""
	}
	kind := kinds[0].(map[string]any)
	group, _, _ := strings.Cut(kind["group"].(string), ".")
	parts := []string{kind["kind"].(string), group, kind["version"].(string)}
	return strings.ToLower(strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "-")) + ".json"
}

// strict is a definition in which nothing but its properties may be, null may be
// what is not required, and what is a number or a text is either.
func strict(x any) any {
	switch x := x.(type) {
	case []any:
		all := make([]any, len(x))
		for i := range x {
			all[i] = strict(x[i])
		}
		return all
	case map[string]any:
		if x["format"] == "int-or-string" {
			return map[string]any{"type": []any{"string", "integer"}}
		}
		all := map[string]any{}
		for key, v := range x {
			if key != "description" || !isText(v) {
				all[key] = strict(v)
			}
		}
		properties, isObject := all["properties"].(map[string]any)
		if !isObject || x["type"] != "object" {
			return all
		}
		if _, said := x["additionalProperties"]; !said {
			all["additionalProperties"] = false
		}
		required, _ := x["required"].([]any)
		for name, p := range properties {
			p := p.(map[string]any)
			if kind, ok := p["type"].(string); ok && !slices.Contains(required, any(name)) {
				p["type"] = []any{kind, "null"}
			}
		}
		return all
	}
	return x
}

func isText(x any) bool { _, ok := x.(string); return ok }

// reached are the definitions that one names, and those that they name.
func reached(all map[string]any, name string) map[string]any {
	found := map[string]any{}
	var visit func(x any)
	visit = func(x any) {
		switch x := x.(type) {
		case []any:
			for _, v := range x {
				visit(v)
			}
		case map[string]any:
			if ref, ok := x["$ref"].(string); ok {
				to := strings.TrimPrefix(ref, "#/definitions/")
				if found[to] == nil {
					found[to] = all[to]
					visit(all[to])
				}
			}
			for _, v := range x {
				visit(v)
			}
		}
	}
	visit(all[name])
	return found
}
