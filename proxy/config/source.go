package config

import "time"

// Source is where a resource comes from (Envoy core.v3.ConfigSource). It is a
// plain value; what API points to is not changed.
type Source struct {
	Kind SourceKind
	// Path is the file of SourcePath. It is read again when something is moved to
	// it, or into WatchedDirectory if that is given.
	Path             string
	WatchedDirectory string
	// Collection says that the file holds a collection (xds.core.v3), as that of a
	// file: locator does, in place of a discovery response.
	Collection bool
	// API is set for SourceAPI only.
	API *APISource
	// InitialFetchTimeout is how long whoever needs the resource waits for its
	// first version before going on without it; default 15 s, 0 waits for ever.
	InitialFetchTimeout time.Duration
}

// SourceKind says how a resource is fetched.
type SourceKind uint8

// The kinds of source. Envoy's `self` is SourceADS.
const (
	SourceInline SourceKind = iota // in the resource that names it
	SourceADS                      // the one aggregated stream (Bootstrap.Dynamic.ADS)
	SourcePath                     // a file
	SourceAPI                      // a stream of its own, or polls
)

var sourceNames = [...]string{"inline", "ads", "path", "api"}

// String is the kind in lower case, as logs and statistics write it.
func (k SourceKind) String() string { return sourceNames[k] }

// APISource is a stream of discovery requests, or polls in place of one (Envoy
// core.v3.ApiConfigSource of type GRPC, DELTA_GRPC or REST).
type APISource struct {
	// Delta asks for the incremental protocol.
	Delta bool
	// Servers are tried in turn; at least one.
	Servers []XDSServer
	// Sum is a hash of all that was said: sources with one sum are the same.
	Sum string
	// SetNodeOnFirstMessageOnly leaves the node out of all but the first request
	// of a stream.
	SetNodeOnFirstMessageOnly bool
	// Poll is set if responses are polled by HTTP, in the state-of-the-world protocol;
	// then Servers is one cluster.
	Poll *Poll
}

// Poll is how often a control plane is asked by HTTP (Envoy's api_type REST).
type Poll struct {
	// Delay lies between an answer and the next request, and up to as much again is
	// added at random; at least 1 ms, at most half of what a Duration holds.
	Delay time.Duration
	// Timeout bounds one request with its answer; default 1 s.
	Timeout time.Duration
}

// XDSServer is one way to a control plane (Envoy core.v3.GrpcService).
type XDSServer struct {
	// Exactly one of Cluster (envoy_grpc: a static cluster, see ControlPlane) and
	// Target (google_grpc: what gRPC dials) is given.
	Cluster string
	Target  string
	// Authority replaces the :authority of Cluster's name; "" for that.
	Authority string
	// StatPrefix names the server in statistics; Cluster or Target if empty.
	StatPrefix string
	// Timeout bounds the opening of a stream; 0: none.
	Timeout time.Duration
	// InitialMetadata goes with every stream.
	InitialMetadata []Metadata
	// TLS is for Target; nil is plaintext. That of Cluster is ControlPlane's.
	TLS *ClientTLS
	// MaxMessageBytes bounds one response; 0 is the client's default.
	MaxMessageBytes uint32
}

// Metadata is one entry of gRPC metadata; Key is lower case.
type Metadata struct {
	Key, Value string
}

// ControlPlane is a static cluster as a way to a control plane: what envoy_grpc
// names. It is dialled by the xDS client, never by a listener.
type ControlPlane struct {
	Name string
	// Addresses in the order of priorities; at least one. Those with a Host are
	// still to be resolved.
	Addresses []Address
	// Endpoints is the file that Addresses are in, under the name Service, if they are
	// not given here (EDS by path); SourceInline otherwise. It is read when a server
	// is to be dialled.
	Endpoints      Source
	Service        string
	ConnectTimeout time.Duration // of one attempt; default 5 s
	Keepalive      Keepalive
	// PingInterval and PingTimeout are those of HTTP/2 pings; 0: none.
	PingInterval, PingTimeout time.Duration
	// TLS is nil for plaintext.
	TLS *ClientTLS
	// HTTP is what polls speak; gRPC has HTTP/2 always.
	HTTP PlaneHTTP
}

// PlaneHTTP is the version of HTTP that a control plane is polled by.
type PlaneHTTP uint8

// The versions. PlaneALPN takes what the server chooses of both, HTTP/1.1 without TLS.
const (
	PlaneHTTP1 PlaneHTTP = iota
	PlaneHTTP2
	PlaneALPN
)

var planeHTTPNames = [...]string{"http1", "http2", "alpn"}

// String is the version in lower case.
func (h PlaneHTTP) String() string { return planeHTTPNames[h] }

// ClientTLS is how the far end is checked and what is shown to it.
type ClientTLS struct {
	// Roots are PEM certificates; the system's if there are none. Unverified takes a
	// chain that ends anywhere, as Envoy does without a trusted_ca.
	Roots      Data
	Unverified bool
	// Cert and Key are the PEM chain and key that are shown; both or none.
	Cert, Key Data
	// ServerName is the SNI, and what the certificate must be for unless SANs
	// are given; "" takes the host name that is dialled.
	ServerName string
	// SANs are subject alternative names of which the certificate must have one,
	// exactly, instead of ServerName.
	SANs []SAN
	// WatchedDirectory, if not empty, is where a move says that the files were
	// replaced.
	WatchedDirectory string
}

// SAN is one subject alternative name.
type SAN struct {
	Kind  SANKind
	Value string
}

// SANKind is SubjectAltNameMatcher.SanType.
type SANKind uint8

// The kinds of name; SANAny is any of them.
const (
	SANAny SANKind = iota
	SANEmail
	SANDNS
	SANURI
	SANIP
)

// Data is text that stands in a file, an environment variable or the
// configuration itself; at most one is given (Envoy core.v3.DataSource). A file
// is read when it is used, and again when it was replaced.
type Data struct {
	Path   string
	Inline Hidden
	Env    string
	// Directory, if not empty, is where a move says that the file was replaced; else
	// its own is.
	Directory string
}

// IsZero reports whether nothing was given.
func (d Data) IsZero() bool { return d.Path == "" && d.Env == "" && d.Inline.IsZero() }

// String says where the text is, never what: it may be a private key.
func (d Data) String() string {
	switch {
	case d.Path != "":
		return d.Path
	case d.Env != "":
		return "$" + d.Env
	case !d.Inline.IsZero():
		return "[inline]"
	}
	return ""
}
