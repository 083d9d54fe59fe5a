// Package gateway reads routes of Kubernetes' Gateway API whose parents are
// Services, and says what becomes of them: for each port of a Service the matches
// in the order in which they are tried, and for each route the conditions of its
// status.
//
//	HTTPRoute ─┐                  Services, ReferenceGrants
//	GRPCRoute ─┴─ Parse ─ Parsed ──────┴─ Judge ─┬─ Table ───▶ route tables of sidecars
//	                                             └─ Verdict ─▶ status
//
// Everything here is a function of its arguments. Nothing that is read is
// trusted: what the API server would have refused is refused again, and what is
// not honoured is a condition that names the field. What a rule means is the
// Gateway API's (apis/v1, GEP-1294), version 1.6.
package gateway
