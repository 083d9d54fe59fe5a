package envoyv3

// What is honoured of our own messages: all of it.

import (
	memcachedv1 "github.com/attache-mesh/attache/xds/api/attache/filters/network/memcached_proxy/v1"
	ketamav1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/ketama/v1"
	libmemcachedv1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/libmemcached/v1"
	rendezvousv1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/rendezvous/v1"
)

func ownTables() []table {
	return []table{
		{of: &memcachedv1.MemcachedProxy{}, honoured: "stat_prefix settings prefix_routes"},
		{
			of:       &memcachedv1.MemcachedProxy_Settings{},
			honoured: "op_timeout enable_hashtagging max_key_bytes max_value_bytes on_failure",
		},
		{of: &memcachedv1.MemcachedProxy_PrefixRoutes{}, honoured: "routes catch_all_route"},
		{of: &memcachedv1.MemcachedProxy_PrefixRoutes_Route{}, honoured: "prefix remove_prefix cluster"},
		{of: &rendezvousv1.Rendezvous{}, honoured: "use_hostname_for_hashing hash_balance_factor"},
		{of: &ketamav1.Ketama{}, honoured: "use_hostname_for_hashing hash_balance_factor"},
		{of: &libmemcachedv1.Libmemcached{}, honoured: "use_hostname_for_hashing hash_balance_factor"},
	}
}
