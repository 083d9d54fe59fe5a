package envoyv3

// Request mirroring, of routes, virtual hosts and tables.

import (
	"strings"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func (d *decoder) mirrors(p path, policies []*routev3.RouteAction_RequestMirrorPolicy) (all []config.Mirror) {
	for i, m := range policies {
		all = append(all, d.mirror(p.dot("request_mirror_policies").at(i), m))
	}
	return all
}

func (d *decoder) mirror(p path, m *routev3.RouteAction_RequestMirrorPolicy) config.Mirror {
	switch {
	case m.GetCluster() != "" && m.GetClusterHeader() != "":
		d.refuse(p, "Only one of cluster '%s' or cluster_header '%s' in request mirror policy can be specified", m.GetCluster(), m.GetClusterHeader())
	case m.GetCluster() == "" && m.GetClusterHeader() == "":
		d.refuse(p, "Exactly one of cluster or cluster_header in request mirror policy need to be specified")
	case m.GetCluster() == "":
		d.headerName(p.dot("cluster_header"), m.GetClusterHeader())
	}
	if strings.ContainsAny(m.GetHostRewriteLiteral(), "\r\n\x00") {
		d.refuse(p.dot("host_rewrite_literal"), "must not contain CR, LF or NUL")
	}
	return config.Mirror{
		Cluster:       m.GetCluster(),
		ClusterHeader: strings.ToLower(m.GetClusterHeader()),
		Fraction:      d.fraction(m.GetRuntimeFraction()),
		KeepHost:      m.GetDisableShadowHostSuffixAppend(),
		HostRewrite:   m.GetHostRewriteLiteral(),
		Headers:       d.mutations(p.dot("request_headers_mutations"), m.GetRequestHeadersMutations()),
	}
}

// mutations reads changes to request headers that are made one after the other.
func (d *decoder) mutations(p path, all []*mutationv3.HeaderMutation) (ops []config.HeaderOps) {
	for i, m := range all {
		pm := p.at(i)
		switch a := m.GetAction().(type) {
		case *mutationv3.HeaderMutation_Append:
			ops = append(ops, config.HeaderOps{RequestAdd: d.headersToAdd(pm.dot("append"), []*corev3.HeaderValueOption{a.Append})})
		case *mutationv3.HeaderMutation_Remove:
			d.headerName(pm.dot("remove"), a.Remove)
			ops = append(ops, config.HeaderOps{RequestRemove: d.headersToRemove(pm.dot("remove"), []string{a.Remove})})
		case *mutationv3.HeaderMutation_RemoveOnMatch_:
			d.never(pm.dot("remove_on_match"), "name the headers to remove")
		case nil:
			d.refuse(pm, "one of append and remove is required")
		}
	}
	return ops
}
