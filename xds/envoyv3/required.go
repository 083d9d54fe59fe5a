package envoyv3

// What a cluster's metadata says to attache alone, in the namespace of that name:
//
//	metadata: {filter_metadata: {attache: {required: true, round_trip: /healthz}}}

import (
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// attacheNamespace is the metadata that is ours.
const attacheNamespace = "attache"

func (d *decoder) attacheMetadata(p path, c *config.Cluster) {
	p = p.dot(attacheNamespace)
	for key, v := range c.Metadata[attacheNamespace] {
		switch key {
		case "required":
			if c.Required = v.Bool; v.Kind != config.ValueBool {
				d.refuse(p.dot(key), "want true or false")
			}
		case "round_trip":
			if c.RoundTrip = RoundTrip(v.Text); c.RoundTrip == nil {
				d.refuse(p.dot(key), "want tcp, memcached, redis, grpc, http, or the path of a health check, /healthz")
			}
		default:
			d.refuse(p.dot(key), "is not known: there are required and round_trip")
		}
	}
}

// roundTripTime is how long one host has to answer.
const roundTripTime = 2 * time.Second

// RoundTrip is the question that a word stands for; nil if the word is not known. A path is
// asked for by GET and must be answered with 200; http is HEAD /, and any answer will do.
func RoundTrip(word string) *config.HealthCheck {
	h := &config.HealthCheck{Timeout: roundTripTime, Unhealthy: 1, Healthy: 1}
	switch {
	case word == "tcp":
	case word == "memcached":
		h.Kind = config.CheckMemcached
	case word == "redis":
		h.Kind = config.CheckRedis
	case word == "grpc":
		h.Kind = config.CheckGRPC
	case word == "http":
		h.Kind = config.CheckHTTP
		h.HTTP = config.HTTPCheck{Method: "HEAD", Path: "/", Expected: []config.StatusRange{{From: 100, To: 600}}}
	case strings.HasPrefix(word, "/"):
		h.Kind = config.CheckHTTP
		h.HTTP = config.HTTPCheck{Method: "GET", Path: word, Expected: []config.StatusRange{{From: 200, To: 201}}}
	default:
		return nil
	}
	return h
}
