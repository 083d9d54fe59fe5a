package orca

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/proxy/codec/protowire"
)

// Every form says the same thing.
func TestForms(t *testing.T) {
	msg := protowire.AppendDouble(nil, 1, 0.5)
	msg = protowire.AppendDouble(msg, 6, 100)
	msg = protowire.AppendDouble(msg, 7, 2)
	msg = protowire.AppendDouble(msg, 9, 0.25)
	msg, at := protowire.Begin(msg, 8)
	msg = protowire.AppendText(msg, 1, "queue")
	msg = protowire.AppendDouble(msg, 2, 3)
	msg = protowire.End(msg, at)
	bin := base64.StdEncoding.EncodeToString(msg)
	const want = "{0.25 0.5 0 2 100 [] [{queue 3}] []}"
	for _, value := range []string{
		"TEXT cpu_utilization=0.5, rps_fractional:100,eps=2,application_utilization=0.25,named_metrics.queue=3",
		`JSON {"cpu_utilization":0.5,"rpsFractional":100,"eps":"2","applicationUtilization":0.25,"namedMetrics":{"queue":3},"rps":"7"}`,
		"BIN " + bin, "BIN " + strings.TrimRight(bin, "="),
	} {
		var r Report
		if err := r.Parse([]byte(value)); err != nil || fmt.Sprint(r) != want {
			t.Errorf("%s: %v, %v", value, r, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, value := range []string{
		"", "XML <a/>", "TEXT cpu_utilization=-1", "TEXT cpu_utilization=NaN", "TEXT cpu_utilization=Inf", "TEXT cpu_utilization",
		"TEXT eps=1,eps=2", "TEXT utilization.=1", "TEXT rps=1", "TEXT request_cost.a=1", "JSON {", `JSON {"cpu":1}`, `JSON {"eps":"x"}`,
		"BIN ", "BIN !!", "BIN " + base64.StdEncoding.EncodeToString([]byte{0xff}),
	} {
		var r Report
		if err := r.Parse([]byte(value)); err == nil {
			t.Errorf("%q gives %v", value, r)
		}
	}
}

func TestEach(t *testing.T) {
	r := Report{CPU: 0.5, Named: Metrics{{"a", 1}, {"b", 2}}, Utilization: Metrics{{"a", 3}}}
	var got []string
	r.Each([]string{"cpu_utilization", "mem_utilization", "named_metrics.*", "utilization.a", "utilization.b", "nothing.a"}, func(name string, v float64) {
		got = append(got, fmt.Sprint(name, "=", v))
	})
	if want := "[cpu_utilization=0.5 mem_utilization=0 named_metrics.a=1 named_metrics.b=2 utilization.a=3]"; fmt.Sprint(got) != want {
		t.Errorf("got %v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("TEXT cpu_utilization=0.5,named_metrics.a=1")
	f.Add(`JSON {"utilization":{"a":1}}`)
	f.Add("BIN CQAAAAAAAOA/")
	f.Fuzz(func(t *testing.T, value string) {
		var r Report
		if r.Parse([]byte(value)) != nil {
			return
		}
		for _, m := range []Metrics{r.Named, r.Utilization, r.Cost} {
			if len(m) > maxMetrics {
				t.Fatalf("%d metrics", len(m))
			}
		}
	})
}
