package gateway

// The specs of routes, as Go types. The tags are the grammar: read.go reads by
// them, and the table of docs/gateway-routes.md is printed from them.
//
//	json     the name of the field
//	doc      what it does here, for the table
//	enum     the texts that it may be, separated by blanks
//	default  the text that it is if it is not given
//	need     must be given
//	most     the most items of a list; 64 otherwise
//	refuse   it is not honoured, and why

type spec struct {
	ParentRefs         []parentRef `json:"parentRefs" most:"32" doc:"Of kind Service (group \"\"); others are other controllers'. In the Service's namespace the route is for all sidecars that use the Service (producer), in another for those in the route's namespace alone, in place of the producer's (consumer)."`
	UseDefaultGateways string      `json:"useDefaultGateways" doc:"Not read: it is about Gateways."`
	Hostnames          []string    `json:"hostnames" doc:"Not read for a Service, as GEP-1294 has it; the condition Accepted says so. Match the header Host."`
	Rules              []any       `json:"rules" most:"16" doc:"One that is refused is left out, and the others are served (PartiallyInvalid); requests that no rule matches are answered 404."`
}

type parentRef struct {
	Group       *string `json:"group" doc:"\"\" for a Service."`
	Kind        *string `json:"kind" doc:"Service."`
	Namespace   string  `json:"namespace" doc:"The Service's; the route's by default."`
	Name        string  `json:"name" doc:"The Service's. Headless ones are taken, too: the frontend is the sidecar's port."`
	SectionName string  `json:"sectionName" doc:"The name of a port; all by default."`
	Port        int64   `json:"port" doc:"Its number."`
}

type httpRule struct {
	Name               string       `json:"name" doc:"Part of the route's name in access logs and statistics."`
	Matches            []httpMatch  `json:"matches" doc:"In the Gateway API's order over all routes; regular expressions of paths come between Exact and PathPrefix, the longest first."`
	Filters            []filter     `json:"filters" most:"16"`
	BackendRefs        []backendRef `json:"backendRefs" most:"16" doc:"What is invalid gets its part of the requests, and answers 500."`
	Timeouts           *timeouts    `json:"timeouts"`
	Retry              *retry       `json:"retry" doc:"In place of the port's retries; connection errors are always among them."`
	SessionPersistence any          `json:"sessionPersistence" refuse:"not supported: sharding of the ambassador's port keeps a session on an instance"`
}

type httpMatch struct {
	Path        *pathMatch  `json:"path"`
	Headers     []textMatch `json:"headers" most:"16"`
	QueryParams []textMatch `json:"queryParams" most:"16"`
	Method      string      `json:"method" enum:"GET HEAD POST PUT DELETE OPTIONS TRACE PATCH" doc:"All but CONNECT."`
}

type pathMatch struct {
	Type  string  `json:"type" default:"PathPrefix" enum:"Exact PathPrefix RegularExpression" doc:"Regular expressions are RE2's, and match the whole path."`
	Value *string `json:"value"`
}

type textMatch struct {
	Type  string `json:"type" default:"Exact" enum:"Exact RegularExpression" doc:"Regular expressions are RE2's, and match the whole value."`
	Name  string `json:"name" need:"" doc:"Of several with one name the first counts."`
	Value string `json:"value" need:""`
}

type grpcRule struct {
	Name               string       `json:"name" doc:"Part of the route's name in access logs and statistics."`
	Matches            []grpcMatch  `json:"matches" doc:"In the Gateway API's order over all routes."`
	Filters            []filter     `json:"filters" most:"16"`
	BackendRefs        []backendRef `json:"backendRefs" most:"16" doc:"Asked in HTTP/2. What is invalid gets its part of the calls, and answers UNAVAILABLE."`
	SessionPersistence any          `json:"sessionPersistence" refuse:"not supported: sharding of the ambassador's port keeps a session on an instance"`
}

type grpcMatch struct {
	Method  *methodMatch `json:"method"`
	Headers []textMatch  `json:"headers" most:"16"`
}

type methodMatch struct {
	Type    string `json:"type" default:"Exact" enum:"Exact RegularExpression" doc:"Regular expressions are RE2's, and match the whole name."`
	Service string `json:"service"`
	Method  string `json:"method"`
}

type filter struct {
	Type                   string        `json:"type" need:"" doc:"Each at most once, but for RequestMirror."`
	RequestHeaderModifier  *headerFilter `json:"requestHeaderModifier" doc:"Of rules and backends."`
	ResponseHeaderModifier *headerFilter `json:"responseHeaderModifier" doc:"Of rules and backends."`
	RequestMirror          *mirror       `json:"requestMirror" doc:"Of rules, several times."`
	RequestRedirect        *redirect     `json:"requestRedirect" doc:"Of rules of an HTTPRoute, without backends."`
	URLRewrite             *rewrite      `json:"urlRewrite" doc:"Of rules of an HTTPRoute; of its backends the hostname alone."`
	CORS                   *cors         `json:"cors" doc:"Of rules of an HTTPRoute."`
	ExternalAuth           any           `json:"externalAuth" refuse:"not supported: raw resources of the ambassador may have ext_authz"`
	ExtensionRef           any           `json:"extensionRef" refuse:"not supported: there are no filters of our own"`
}

type headerFilter struct {
	Set    []header `json:"set" most:"16"`
	Add    []header `json:"add" most:"16"`
	Remove []string `json:"remove" most:"16"`
}

type header struct {
	Name  string `json:"name" need:"" doc:"Not Host, which is urlRewrite's."`
	Value string `json:"value"`
}

type mirror struct {
	BackendRef backendObject `json:"backendRef" need:"" doc:"One that is invalid is left out."`
	Percent    *int64        `json:"percent"`
	Fraction   *fraction     `json:"fraction" doc:"To a millionth."`
}

type fraction struct {
	Numerator   int64  `json:"numerator"`
	Denominator *int64 `json:"denominator"`
}

type redirect struct {
	Scheme     string        `json:"scheme" enum:"http https"`
	Hostname   string        `json:"hostname"`
	Path       *pathModifier `json:"path"`
	Port       int64         `json:"port" doc:"By default the scheme's, or the Service's if there is no scheme."`
	StatusCode *int64        `json:"statusCode" doc:"301, 302, 303, 307 or 308."`
}

type rewrite struct {
	Hostname string        `json:"hostname"`
	Path     *pathModifier `json:"path"`
}

type pathModifier struct {
	Type               string  `json:"type" need:"" enum:"ReplaceFullPath ReplacePrefixMatch"`
	ReplaceFullPath    *string `json:"replaceFullPath"`
	ReplacePrefixMatch *string `json:"replacePrefixMatch" doc:"With one match, a PathPrefix."`
}

type cors struct {
	AllowOrigins     []string `json:"allowOrigins"`
	AllowCredentials bool     `json:"allowCredentials"`
	AllowMethods     []string `json:"allowMethods" doc:"* with allowCredentials is refused: the method that is asked for cannot be echoed."`
	AllowHeaders     []string `json:"allowHeaders" doc:"* with allowCredentials is refused: the headers that are asked for cannot be echoed."`
	ExposeHeaders    []string `json:"exposeHeaders" doc:"* with allowCredentials is refused."`
	MaxAge           *int64   `json:"maxAge"`
}

type backendRef struct {
	Group     string   `json:"group"`
	Kind      string   `json:"kind" default:"Service" doc:"Service, and no ExternalName."`
	Namespace string   `json:"namespace" doc:"Another than the route's needs a ReferenceGrant: a route lets a sidecar reach what its ambassador does not name."`
	Name      string   `json:"name" need:""`
	Port      int64    `json:"port" doc:"Of the Service; its appProtocol may be http, kubernetes.io/ws (HTTP/1.1), http2, grpc, kubernetes.io/h2c (HTTP/2), or not given: then the ambassador's port says."`
	Weight    *int64   `json:"weight" doc:"0 gets nothing; if all are 0, the answer is that of what is invalid."`
	Filters   []filter `json:"filters" most:"16"`
}

// object is the reference without weight and filters.
func (b *backendRef) object() backendObject {
	return backendObject{b.Group, b.Kind, b.Namespace, b.Name, b.Port}
}

type backendObject struct {
	Group     string `json:"group"`
	Kind      string `json:"kind" default:"Service"`
	Namespace string `json:"namespace" doc:"As of a backend."`
	Name      string `json:"name" need:""`
	Port      int64  `json:"port"`
}

type timeouts struct {
	Request        string `json:"request" doc:"0s is none; by default the port's, but no less than backendRequest."`
	BackendRequest string `json:"backendRequest" doc:"Of one try."`
}

type retry struct {
	Codes    []int64 `json:"codes" most:"200"`
	Attempts *int64  `json:"attempts" doc:"At most 20; 1 by default."`
	Backoff  string  `json:"backoff" doc:"The base of Envoy's back-off, which is spread at random below it, too."`
}
