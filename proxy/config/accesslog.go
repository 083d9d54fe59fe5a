package config

import "time"

// AccessLog is one log of a connection manager, a TCP proxy or a listener (Envoy
// config.accesslog.v3.AccessLog).
type AccessLog struct {
	// Path is a file; "/dev/stdout" and "/dev/stderr" are the program's own.
	Path   string
	Format BodyFormat
	// GRPC, unless it is nil, is the service that takes the entries in place of a file.
	GRPC *GRPCLog
	// Filter says which entries are written; nil: all.
	Filter *LogFilter
}

// GRPCLog is a log that a service takes
// (access_loggers.grpc.v3.HttpGrpcAccessLogConfig, TcpGrpcAccessLogConfig).
type GRPCLog struct {
	Name    string
	Service GRPCService
	// TCP sends entries of connections, else they are of requests.
	TCP bool
	// Flush is how old a batch may be, Buffer how large, in bytes; defaults 1 s, 16 KiB.
	Flush  time.Duration
	Buffer int
	// State names the objects of filter state that entries have; Request, Response and
	// Trailers the fields, in lower case.
	State, Request, Response, Trailers []string
	// NodeID and NodeCluster say who logs.
	NodeID, NodeCluster string
}

// LogFilter is one condition on an entry (AccessLogFilter). Immutable.
type LogFilter struct {
	Kind LogFilterKind
	// All are those of LogAnd and LogOr.
	All []LogFilter
	// Op and Value are read for LogStatus and LogDuration (milliseconds).
	Op    CompareOp
	Value uint32
	// Fraction of requests, of LogFraction; Independent draws a number of its own
	// instead of the request's.
	Fraction    Fraction
	Independent bool
	Header      HeaderMatch // LogHeader
	Flags       []string    // LogFlags: short names; none: any flag
	// Numbers are gRPC statuses or log types; Exclude turns these conditions round.
	Numbers []int
	Exclude bool
	// Metadata is read for LogMetadata; Missing is the answer where there is none.
	Metadata *MetadataMatch
	Missing  bool
	// CEL is the expression of LogCEL.
	CEL string
}

// LogFilterKind is the kind of a LogFilter.
type LogFilterKind uint8

// The kinds.
const (
	LogStatus LogFilterKind = iota
	LogDuration
	LogNotHealthCheck
	LogTraceable
	LogFraction
	LogAnd
	LogOr
	LogHeader
	LogFlags
	LogGRPCStatus
	LogMetadata
	LogLogType
	LogCEL
)

// CompareOp is ComparisonFilter.Op.
type CompareOp uint8

// The comparisons.
const (
	CompareEqual CompareOp = iota
	CompareAtLeast
	CompareAtMost
	CompareNot
)

// AccessLogOptions are HcmAccessLogOptions and the TCP proxy's.
type AccessLogOptions struct {
	// FlushInterval logs what is known of a request every so often while it lives; 0
	// does not.
	FlushInterval time.Duration
	// OnRequest logs a request when its head has come, OnTunnel when a tunnel was made;
	// for a TCP proxy OnConnected when the host is connected to.
	OnRequest, OnTunnel, OnConnected bool
}

// MetadataMatch is Envoy's MetadataMatcher: the value that a path leads to.
type MetadataMatch struct {
	Namespace string
	Path      []string
	Value     ValueMatch
	Invert    bool
}

// ValueMatch is Envoy's ValueMatcher.
type ValueMatch struct {
	Kind ValueMatchKind
	// From and To (half-open), or Number, of a number.
	IsRange          bool
	From, To, Number float64
	String           StringMatch
	Bool             bool // of MatchBool, and whether there must be a value of MatchPresent
	// All are the conditions of MatchOr; All[0] that of MatchList for one of its items.
	All []ValueMatch
}

// ValueMatchKind is the kind of a ValueMatch.
type ValueMatchKind uint8

// The kinds.
const (
	MatchNull ValueMatchKind = iota
	MatchNumber
	MatchString
	MatchBool
	MatchPresent
	MatchList
	MatchOr
)

// LocalReplies says how answers of our own are worded (LocalReplyConfig).
type LocalReplies struct {
	// Mappers: the first whose filter passes counts.
	Mappers []ReplyMapper
	// Format makes the body, unless the mapper's does; nil: as it is.
	Format *BodyFormat
}

// ReplyMapper changes the answers that pass its filter (ResponseMapper).
type ReplyMapper struct {
	Filter LogFilter
	Status int         // 0: as it is
	Body   *string     // nil: as it is
	Format *BodyFormat // nil: that of LocalReplies
	// Headers are added to the answer.
	Headers []HeaderValue
}

// ResponseFlags are the short names of Envoy's response flags
// (source/common/stream_info/utility.h, CORE_RESPONSE_FLAGS).
func ResponseFlags() []string {
	return []string{
		"LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI", "IH", "DPE",
		"UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR", "UDO",
	}
}
