package envoyv3

// The header mutation filter.

import (
	"strings"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
)

func headerMutationTables() []table {
	return []table{
		{of: &headermutationv3.HeaderMutation{}, honoured: "mutations most_specific_header_mutations_wins"},
		{of: &headermutationv3.HeaderMutationPerRoute{}, honoured: "mutations"},
		{
			of: &headermutationv3.Mutations{},
			honoured: "request_mutations query_parameter_mutations response_mutations response_trailers_mutations " +
				"request_trailers_mutations",
		},
		{of: &mutationv3.HeaderMutation_RemoveOnMatch{}, honoured: "key_matcher"},
		{of: &corev3.KeyValueMutation{}, honoured: "append remove"},
		{of: &corev3.KeyValueAppend{}, honoured: "record action", refused: notes{"entry": "use record"}},
		{of: &corev3.KeyValuePair{}, honoured: "key", partly: notes{"value": "literal text"}},
	}
}

func (d *decoder) headerMutation(p path, m *headermutationv3.HeaderMutation) *config.HeaderMutationFilter {
	return &config.HeaderMutationFilter{
		Mutations:        *d.mutationsOf(p.dot("mutations"), m.GetMutations()),
		MostSpecificWins: m.GetMostSpecificHeaderMutationsWins(),
	}
}

func (d *decoder) mutationsOf(p path, m *headermutationv3.Mutations) *config.Mutations {
	return &config.Mutations{
		Request:          d.headerMutations(p.dot("request_mutations"), m.GetRequestMutations()),
		Response:         d.headerMutations(p.dot("response_mutations"), m.GetResponseMutations()),
		RequestTrailers:  d.headerMutations(p.dot("request_trailers_mutations"), m.GetRequestTrailersMutations()),
		ResponseTrailers: d.headerMutations(p.dot("response_trailers_mutations"), m.GetResponseTrailersMutations()),
		Query:            d.queryMutations(p.dot("query_parameter_mutations"), m.GetQueryParameterMutations()),
	}
}

func (d *decoder) headerMutations(p path, all []*mutationv3.HeaderMutation) (list []config.HeaderMutation) {
	for i, m := range all {
		pm := p.at(i)
		var c config.HeaderMutation
		switch a := m.GetAction().(type) {
		case *mutationv3.HeaderMutation_Remove:
			c.Remove = strings.ToLower(a.Remove)
			if !modifiable(a.Remove) {
				d.refuse(pm.dot("remove"), ":-prefixed or host headers may not be removed")
			}
		case *mutationv3.HeaderMutation_Append:
			v := d.headerToAdd(pm.dot("append"), a.Append)
			c.Add = &v
		case *mutationv3.HeaderMutation_RemoveOnMatch_:
			s := d.stringMatch(pm.dot("remove_on_match").dot("key_matcher"), a.RemoveOnMatch.GetKeyMatcher())
			c.RemoveMatch = &s
		case nil:
			d.refuse(pm, "one of remove, append and remove_on_match is required")
		}
		list = append(list, c)
	}
	return list
}

func (d *decoder) queryMutations(p path, all []*corev3.KeyValueMutation) (list []config.QueryMutation) {
	for i, m := range all {
		pm := p.at(i)
		q := config.QueryMutation{Remove: m.GetRemove()}
		if a := m.GetAppend(); a != nil {
			text, ok := a.GetRecord().GetValue().GetKind().(*structpb.Value_StringValue)
			switch {
			case q.Remove != "":
				d.refuse(pm, "Only one of 'append'/'remove can be specified.")
			case a.GetRecord() == nil:
				d.refuse(pm.dot("append"), "No record specified for append mutation.")
			case !ok:
				d.refuse(pm.dot("append").dot("record").dot("value"), "Only string value is allowed for record value.")
			case strings.Contains(text.StringValue, "%"):
				d.unsupported(pm.dot("append").dot("record").dot("value"), "literal text only")
			default:
				q.Key, q.Value = a.GetRecord().GetKey(), text.StringValue
			}
			switch a.GetAction() {
			case corev3.KeyValueAppend_ADD_IF_ABSENT:
				q.Append = config.AddIfAbsent
			case corev3.KeyValueAppend_OVERWRITE_IF_EXISTS:
				q.Append = config.OverwriteIfExists
			case corev3.KeyValueAppend_OVERWRITE_IF_EXISTS_OR_ADD:
				q.Append = config.OverwriteOrAdd
			}
		} else if q.Remove == "" {
			d.refuse(pm, "One of 'append'/'remove' must be specified.")
		}
		list = append(list, q)
	}
	return list
}
