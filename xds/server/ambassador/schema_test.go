package ambassador

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// TestSchemaIsOfTheTypes: what is shipped is what the types say.
func TestSchemaIsOfTheTypes(t *testing.T) {
	if *update {
		if err := os.WriteFile("schema.json", schema(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(Schema()) != string(schema()) {
		t.Error("schema.json is not what the types say: go test ./xds/server/ambassador -run TestSchema -update")
	}
}

// TestSchemaAgrees: what Load takes the schema takes, too; and what it refuses
// for one field, the schema refuses.
func TestSchemaAgrees(t *testing.T) {
	var s any
	if err := json.Unmarshal(schema(), &s); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("testdata/*.txt")
	good := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc := sections(string(text))[0].text
		if config, problems := Load([]byte(doc), file); config != nil {
			good++
			if wrong := against(s, doc); wrong != "" {
				t.Errorf("%s: Load takes it, the schema does not: %s", file, wrong)
			}
		} else if file == "testdata/problems.txt" && against(s, doc) == "" {
			t.Errorf("%s: the schema takes it, Load does not: %v", file, problems)
		}
	}
	if good < 5 {
		t.Errorf("%d configurations were compared, want more", good)
	}
}

// TestSchemaRefuses plays one wrong field after the other.
func TestSchemaRefuses(t *testing.T) {
	var s any
	if err := json.Unmarshal(schema(), &s); err != nil {
		t.Fatal(err)
	}
	const port = `ambassadors: [{name: x, ports: [{name: a, port: 1, protocol: memcached, service: "consul://a", %s}]}]`
	for _, c := range []struct {
		text string
		good bool
	}{
		{fmt.Sprintf(port, `sharding: ketama`), true},
		{fmt.Sprintf(port, `sharding: {policy: ketama, hash_tags: true}`), true},
		{fmt.Sprintf(port, `sharding: ketema`), false},
		{fmt.Sprintf(port, `sharding: {polic: ketama}`), false},
		{fmt.Sprintf(port, `timeouts: {connect: 1m30s}`), true},
		{fmt.Sprintf(port, `timeouts: {connect: 5}`), false},
		{fmt.Sprintf(port, `limits: {requests: 0}`), false},
		{fmt.Sprintf(port, `limits: {requests: -1}`), false},
		{fmt.Sprintf(port, `memcached: {on_failure: miss}`), true},
		{fmt.Sprintf(port, `memcached: {on_failure: hit}`), false},
		{fmt.Sprintf(port, `address: ["127.0.0.1"]`), false},
		{fmt.Sprintf(port, `plan: {max_moved_share: 1.01}`), false},
		{fmt.Sprintf(port, `clients: [attache]`), true},
		{fmt.Sprintf(port, `clients: attache`), false},
		{`ambassadors: [{ports: []}]`, false},
		{`{}`, false},
		{`sources: {x: {kind: file}}` + "\n" + fmt.Sprintf(port, ""), false},
		{`sources: {x: {kind: file, path: a}}` + "\n" + fmt.Sprintf(port, ""), true},
		{`sources: {x: {kind: consul, path: a}}` + "\n" + fmt.Sprintf(port, ""), false},
		{`server: {tls: {certificate: a}}` + "\n" + fmt.Sprintf(port, ""), false},
	} {
		config, problems := Load([]byte(c.text), "x.yaml")
		wrong := against(s, c.text)
		if (config != nil) != c.good || (wrong == "") != c.good {
			t.Errorf("%s\nLoad says %v, the schema %q; want it good: %v", c.text, problems, wrong, c.good)
		}
	}
}

// against judges a document by the part of JSON schema that schema uses; "" is
// good.
func against(schema any, doc string) string {
	root, problem := load.Parse([]byte(doc), "x.yaml")
	if problem != nil {
		return problem.String()
	}
	var value any
	if err := root.Decode(&value); err != nil {
		return err.Error()
	}
	return judge(schema.(map[string]any), value, "")
}

func judge(s map[string]any, v any, path string) string {
	if either, ok := s["oneOf"].([]any); ok {
		var why []string
		for _, one := range either {
			if wrong := judge(one.(map[string]any), v, path); wrong != "" {
				why = append(why, wrong)
			}
		}
		if len(either)-len(why) != 1 {
			return fmt.Sprintf("%s: fits %d of %d: %v", path, len(either)-len(why), len(either), why)
		}
		return ""
	}
	if want, ok := s["const"]; ok && want != v {
		return fmt.Sprintf("%s: want %v", path, want)
	}
	switch s["type"] {
	case "object":
		return judgeObject(s, v, path)
	case "array":
		list, ok := v.([]any)
		if !ok {
			return path + ": want a list"
		}
		for i, item := range list {
			if wrong := judge(s["items"].(map[string]any), item, at(path, i)); wrong != "" {
				return wrong
			}
		}
	case "string":
		text, ok := v.(string)
		if !ok {
			return path + ": want text"
		}
		if values, ok := s["enum"].([]any); ok && !slices.Contains(values, any(text)) {
			return fmt.Sprintf("%s: want one of %v", path, values)
		}
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(text) {
			return fmt.Sprintf("%s: want %s", path, p)
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return path + ": want true or false"
		}
	case "integer", "number":
		var n float64
		if _, err := fmt.Sscan(fmt.Sprint(v), &n); err != nil || s["type"] == "integer" && n != float64(int64(n)) {
			return path + ": want a number"
		}
		if low, ok := s["minimum"].(float64); ok && n < low {
			return fmt.Sprintf("%s: less than %v", path, low)
		}
		if high, ok := s["maximum"].(float64); ok && n > high {
			return fmt.Sprintf("%s: more than %v", path, high)
		}
	}
	return ""
}

func judgeObject(s map[string]any, v any, path string) string {
	given, ok := v.(map[string]any)
	if !ok {
		return path + ": want a mapping"
	}
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := given[name.(string)]; !ok {
			return dot(path, name.(string)) + ": required"
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for name, value := range given {
		of, known := properties[name].(map[string]any)
		if !known {
			of, known = s["additionalProperties"].(map[string]any)
		}
		if !known && s["additionalProperties"] == false {
			return dot(path, name) + ": unknown"
		}
		if wrong := judge(of, value, dot(path, name)); known && wrong != "" {
			return strings.TrimPrefix(wrong, ".")
		}
	}
	return ""
}
