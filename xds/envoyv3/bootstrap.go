package envoyv3

// Rules about the bootstrap's own fields that need more than the table.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
)

// Bootstrap checks the fields of m outside its resources: the whole against the
// table, and the values that are honoured only in part.
func Bootstrap(m *bootstrapv3.Bootstrap, o Options) []Problem {
	d := &decoder{opts: o}
	d.check("", m)
	d.allResolver(m)
	d.localCluster(m)
	d.bootstrapExtensions(m.GetBootstrapExtensions())
	d.internalListeners(m)
	d.overload(m)
	if h := m.GetHdsConfig(); h != nil && len(h.GetGrpcServices())+len(h.GetClusterNames()) == 0 {
		d.warn(root("hds_config"), "nobody is told of the health of hosts: %s", noService)
	}
	d.applicationLog(root("application_log_config").dot("log_format"), m.GetApplicationLogConfig().GetLogFormat())
	for i, h := range m.GetInlineHeaders() {
		if strings.EqualFold(h.GetInlineHeaderName(), "set-cookie") {
			d.refuse(root("inline_headers").at(i), "Header %s cannot be registered as an inline header.", h.GetInlineHeaderName())
		}
	}
	return d.problems
}

// localCluster wants the cluster that the bootstrap calls its own to be there
// (cluster_manager_impl.cc, initialize).
func (d *decoder) localCluster(m *bootstrapv3.Bootstrap) {
	name := m.GetClusterManager().GetLocalClusterName()
	if name == "" {
		return
	}
	for _, c := range m.GetStaticResources().GetClusters() {
		if c.GetName() == name {
			return
		}
	}
	d.refuse(root("cluster_manager.local_cluster_name"), "local cluster '%s' must be defined", name)
}

// internalListeners refuses the bootstrap's internal listeners where it does not have the extension that Envoy needs
// for them (listener_impl.cc).
func (d *decoder) internalListeners(m *bootstrapv3.Bootstrap) {
	for _, e := range m.GetBootstrapExtensions() {
		if name, _, _ := unwrap(e.GetTypedConfig()); implements(bootstrapExtension, name) {
			return
		}
	}
	for i, l := range m.GetStaticResources().GetListeners() {
		if l.GetInternalListener() != nil {
			d.refuse(root("static_resources.listeners").at(i).dot("internal_listener"),
				"error adding listener named '%s': InternalListener bootstrap extension is mandatory", l.GetName())
		}
	}
}
