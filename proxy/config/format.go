package config

// Format strings: text with command operators, taken apart when they are read
// (Envoy docs, configuration/observability/access_log/usage). Package
// proxy/format evaluates them.

// Format is a format string, in the order of its parts. Nil is no format; an
// empty text is a Format of no parts that is not nil. Immutable.
type Format []FormatPart

// FormatPart is literal text or one operator.
type FormatPart struct {
	Op FormatOp
	// Text is the literal of FormatLiteral; else what stood between the parentheses:
	// the format of a time, the name of an environment variable, a CEL expression.
	Text string
	// Name and Other are header names in lower case, Other the one that counts where
	// Name is not there, "" for none; Name is also a namespace, the name of a query
	// parameter or of a filter state object.
	Name, Other string
	// Path leads into a namespace; the two points of a COMMON_DURATION.
	Path []string
	// Max is how many bytes of the value are taken at most, -1: all.
	Max int
	// Mode is one of the operator's own options below.
	Mode FormatMode
}

// FormatMode is an option of an operator.
type FormatMode uint8

// The options. Each belongs to the operators that its name says.
const (
	ModeNone FormatMode = iota
	// FILTER_STATE: as text, as JSON, one field.
	StatePlain
	StateTyped
	StateField
	// GRPC_STATUS.
	GRPCCamel
	GRPCSnake
	GRPCNumber
	// COMMON_DURATION.
	InMilliseconds
	InMicroseconds
	InNanoseconds
	// RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES).
	KeepSpaces
	// METADATA, by whose it is.
	MetadataDynamic
	MetadataCluster
	MetadataRoute
	MetadataHost
	MetadataListener
	MetadataVirtualHost
)

// PathMode is an option of PATH: it is Mode, a sum of these.
const (
	PathNoQuery  FormatMode = 1 << iota // NQ
	PathOriginal                        // ORIG or ORIG_OR_PATH
	PathCurrent                         // PATH or ORIG_OR_PATH
)

// Literal is the text of a format without operators; ok is false if it has one.
func (f Format) Literal() (text string, ok bool) {
	for i := range f {
		if f[i].Op != FormatLiteral {
			return "", false
		}
		text += f[i].Text
	}
	return text, true
}

// Equal reports whether both say the same.
func (f Format) Equal(g Format) bool {
	if len(f) != len(g) || (f == nil) != (g == nil) {
		return false
	}
	for i := range f {
		if !f[i].equal(&g[i]) {
			return false
		}
	}
	return true
}

func (p *FormatPart) equal(q *FormatPart) bool {
	if p.Op != q.Op || p.Text != q.Text || p.Name != q.Name || p.Other != q.Other ||
		p.Max != q.Max || p.Mode != q.Mode || len(p.Path) != len(q.Path) {
		return false
	}
	for i := range p.Path {
		if p.Path[i] != q.Path[i] {
			return false
		}
	}
	return true
}

// BodyFormat makes a text, or JSON, of a request (Envoy
// core.v3.SubstitutionFormatString). Text is a format; JSON, if Text is nil, is a
// structure whose texts are formats: FormatTree.
type BodyFormat struct {
	Text Format
	JSON *FormatTree
	// OmitEmpty leaves out what has no value, in place of "-".
	OmitEmpty bool
	// ContentType is text/plain for Text and application/json for JSON unless given.
	ContentType string
}

// FormatTree is a JSON value whose texts may be formats.
type FormatTree struct {
	Kind ValueKind
	// Plain is what it is if it is not a format, a list or a structure.
	Plain  Value
	Format Format
	List   []FormatTree
	// Keys are in order; Fields stand beside them.
	Keys   []string
	Fields []FormatTree
}

// DefaultLogFormat is that of an access log that says nothing else
// (SubstitutionFormatUtils::defaultSubstitutionFormatter).
const DefaultLogFormat = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" " +
	"%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% " +
	"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% " +
	"\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" " +
	"\"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n"
