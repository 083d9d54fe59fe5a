package consul

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/attache-mesh/attache/discovery"
)

func TestInstances(t *testing.T) {
	const node = `"Node": {"Node": "n1", "Address": "10.1.0.1", "Datacenter": "dc1", "TaggedAddresses": {"wan": "192.0.2.1"}, "Meta": {"zone": "node-zone", "rack": "r7"}}`
	tests := []struct {
		name    string
		conf    Config
		service discovery.Service
		entries string
		want    string // instances, then what is unusable
	}{
		{
			name:    "the service's address",
			entries: `{` + node + `, "Service": {"ID": "web-1", "Service": "web", "Address": "10.0.0.1", "Port": 80}}`,
			want:    `web-1 10.0.0.1:80 healthy weight=1 zone=node-zone`,
		},
		{
			name:    "the node's address",
			entries: `{` + node + `, "Service": {"ID": "web-1", "Service": "web", "Port": 80}}`,
			want:    `web-1 10.1.0.1:80 healthy weight=1 zone=node-zone`,
		},
		{
			name:    "IPv6, and IPv4 in IPv6",
			entries: `{` + node + `, "Service": {"ID": "web-1", "Address": "fd00::1", "Port": 80}}, {` + node + `, "Service": {"ID": "web-2", "Address": "::ffff:10.0.0.2", "Port": 80}}`,
			want:    "web-1 [fd00::1]:80 healthy weight=1 zone=node-zone\nweb-2 10.0.0.2:80 healthy weight=1 zone=node-zone",
		},
		{
			name:    "a tagged address",
			conf:    Config{Tagged: "wan"},
			entries: `{` + node + `, "Service": {"ID": "web-1", "Address": "10.0.0.1", "Port": 80, "TaggedAddresses": {"wan": {"Address": "192.0.2.9", "Port": 8080}}}}`,
			want:    `web-1 192.0.2.9:8080 healthy weight=1 zone=node-zone`,
		},
		{
			name:    "a tagged address without a port, asked for by the reference",
			conf:    Config{Tagged: "lan"},
			service: discovery.Service{Query: "tagged=wan"},
			entries: `{` + node + `, "Service": {"ID": "web-1", "Port": 80, "TaggedAddresses": {"wan": {"Address": "192.0.2.9"}}}}`,
			want:    `web-1 192.0.2.9:80 healthy weight=1 zone=node-zone`,
		},
		{
			name:    "the node's tagged address",
			conf:    Config{Tagged: "wan"},
			entries: `{` + node + `, "Service": {"ID": "web-1", "Port": 80}}, {` + node + `, "Service": {"ID": "web-2", "Address": "10.0.0.1", "Port": 80}}`,
			want:    "web-1 192.0.2.1:80 healthy weight=1 zone=node-zone\nweb-2 10.0.0.1:80 healthy weight=1 zone=node-zone",
		},
		{
			name:    "a port by number",
			service: discovery.Service{Port: "9090"},
			entries: `{` + node + `, "Service": {"ID": "web-1", "Port": 80}}`,
			want:    `web-1 10.1.0.1:9090 healthy weight=1 zone=node-zone`,
		},
		{
			name:    "a port by name",
			service: discovery.Service{Port: "admin"},
			entries: `{` + node + `, "Service": {"ID": "web-1", "Ports": [{"Name": "http", "Port": 80, "Default": true}, {"Name": "admin", "Port": 9}]}}, {` + node + `, "Service": {"ID": "web-2", "Port": 80}}`,
			want:    "web-1 10.1.0.1:9 healthy weight=1 zone=node-zone\nunusable: instance \"web-2\" on node \"n1\": no port is named \"admin\"",
		},
		{
			name:    "the default of several ports",
			entries: `{` + node + `, "Service": {"ID": "web-1", "Ports": [{"Name": "admin", "Port": 9}, {"Name": "http", "Port": 80, "Default": true}]}}`,
			want:    `web-1 10.1.0.1:80 healthy weight=1 zone=node-zone`,
		},
		{
			name:    "a socket",
			entries: `{` + node + `, "Service": {"ID": "web-1", "SocketPath": "/run/web"}}`,
			want:    `web-1 /run/web healthy weight=1 zone=node-zone`,
		},
		{
			name:    "nowhere to connect to",
			entries: `{` + node + `, "Service": {"ID": "a"}}, {` + node + `, "Service": {"ID": "b", "Port": 65536}}, {` + node + `, "Service": {"ID": "c", "Address": "0.0.0.0", "Port": 80}}, {` + node + `, "Service": {"ID": "d", "Address": "host", "Port": 80}}, {"Service": {"ID": "e", "Port": 80}}, {` + node + `}, null, {}`,
			want: `unusable: instance "a" on node "n1": port 0: no port to connect to
unusable: instance "b" on node "n1": port 65536: no port to connect to
unusable: instance "c" on node "n1": address 0.0.0.0: no address to connect to
unusable: instance "d" on node "n1": address "host": not an IP address
unusable: an entry without a node or a service
unusable: an entry without a node or a service
unusable: an entry without a node or a service
unusable: an entry without a node or a service`,
		},
		{
			name: "identities",
			entries: `{"Node": {"Node": "n1"}, "Service": {"ID": "web", "Service": "web", "Address": "10.0.0.1", "Port": 80}},
				{"Node": {"Node": "n1"}, "Service": {"ID": "once", "Service": "web", "Address": "10.0.0.2", "Port": 80}},
				{"Node": {"Node": "n1"}, "Service": {"ID": "twice", "Service": "web", "Address": "10.0.0.3", "Port": 80}},
				{"Node": {"Node": "n2"}, "Service": {"ID": "twice", "Service": "web", "Address": "10.0.0.4", "Port": 80}},
				{"Node": {"Node": "n1", "Datacenter": "dc2", "Partition": "p", "ID": "77"}, "Service": {"ID": "web", "Service": "web", "Address": "10.0.0.5", "Port": 80}},
				{"Node": {"Node": "n3"}, "Service": {"Service": "web", "Address": "10.0.0.6", "Port": 80}}`,
			want: `n1/web 10.0.0.1:80 healthy weight=1
once 10.0.0.2:80 healthy weight=1
n1/twice 10.0.0.3:80 healthy weight=1
n2/twice 10.0.0.4:80 healthy weight=1
dc2/p/77/n1/web 10.0.0.5:80 healthy weight=1
n3/ 10.0.0.6:80 healthy weight=1`,
		},
		{
			name:    "weights",
			conf:    Config{WeightKeys: []string{"weight"}},
			entries: weighted("a", 5, 2, "", "passing") + "," + weighted("b", 5, 2, "", "warning") + "," + weighted("c", 5, 2, "9", "passing") + "," + weighted("d", 5, 2, "much", "passing") + "," + weighted("e", 70000, -2, "", "passing") + "," + weighted("f", -1, 0, "0", "critical"),
			want: `a 10.0.0.1:80 healthy weight=5
b 10.0.0.1:80 degraded weight=5
c 10.0.0.1:80 healthy weight=9
d 10.0.0.1:80 healthy weight=5
e 10.0.0.1:80 healthy weight=65535
f 10.0.0.1:80 unhealthy weight=1`,
		},
		{
			name:    "warning by weight",
			conf:    Config{WarningByWeight: true},
			entries: weighted("a", 5, 2, "", "passing") + "," + weighted("b", 5, 2, "", "warning") + "," + weighted("c", 5, 0, "", "warning"),
			want: `a 10.0.0.1:80 healthy weight=5
b 10.0.0.1:80 healthy weight=2
c 10.0.0.1:80 draining weight=5`,
		},
		{
			name:    "where it is",
			conf:    Config{SubZoneKeys: []string{"cage", "rack"}},
			entries: `{` + node + `, "Service": {"ID": "a", "Port": 80, "Meta": {"zone": "meta-zone", "region": "meta-region"}}}, {` + node + `, "Service": {"ID": "b", "Port": 80, "Meta": {"zone": "meta-zone"}, "Locality": {"Zone": "zone"}}}, {"Node": {"Node": "n2", "Address": "10.1.0.2", "Locality": {"Region": "region", "Zone": "zone"}, "Meta": {"zone": "node-zone"}}, "Service": {"ID": "c", "Port": 80}}`,
			want: `a 10.1.0.1:80 healthy weight=1 region=meta-region zone=meta-zone sub_zone=r7 meta=map[region:meta-region zone:meta-zone]
b 10.1.0.1:80 healthy weight=1 zone=zone sub_zone=r7 meta=map[zone:meta-zone]
c 10.1.0.2:80 healthy weight=1 region=region zone=zone`,
		},
		{
			name:    "tags",
			entries: `{` + node + `, "Service": {"ID": "a", "Port": 80, "Tags": ["prod", "blue", "prod"]}, "Checks": [null]}`,
			want:    `a 10.1.0.1:80 healthy weight=1 zone=node-zone tags=[blue prod]`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.conf.fill()
			s := &Source{conf: test.conf}
			s.conf.Log = slog.New(slog.DiscardHandler)
			test.service.Name = "web"
			ref, err := parseReference(test.service)
			if err != nil {
				t.Fatal(err)
			}
			var entries []*api.ServiceEntry
			if err := json.Unmarshal([]byte("["+test.entries+"]"), &entries); err != nil {
				t.Fatal(err)
			}
			if got := written(s.instances(ref, entries)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func weighted(id string, passing, warning int, meta, status string) string {
	return fmt.Sprintf(`{"Node": {"Node": "n"}, "Service": {"ID": %q, "Address": "10.0.0.1", "Port": 80, "Weights": {"Passing": %d, "Warning": %d}, "Meta": {"weight": %q}}, "Checks": [{"CheckID": "c", "Status": %q}]}`,
		id, passing, warning, meta, status)
}

func written(instances []discovery.Instance, unusable []error) string {
	var lines []string
	for _, i := range instances {
		line := i.ID + " "
		if i.Path != "" {
			line += i.Path
		} else {
			line += i.Addr.String()
		}
		line += fmt.Sprintf(" %s weight=%d", i.Health, i.Weight)
		for _, more := range []struct{ key, value string }{{"region", i.Region}, {"zone", i.Zone}, {"sub_zone", i.SubZone}} {
			if more.value != "" {
				line += " " + more.key + "=" + more.value
			}
		}
		if i.Tags != nil {
			line += fmt.Sprintf(" tags=%v", i.Tags)
		}
		if _, weight := i.Metadata["weight"]; i.Metadata != nil && !weight {
			line += fmt.Sprintf(" meta=%v", i.Metadata)
		}
		lines = append(lines, line)
	}
	for _, err := range unusable {
		lines = append(lines, "unusable: "+err.Error())
	}
	return strings.Join(lines, "\n")
}
