package config

// Taking a format string apart. The texts of errors are Envoy's
// (source/common/formatter/substitution_formatter.cc, *_format_utility.cc).

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// maxFormat bounds a format string, in bytes.
const maxFormat = 64 << 10

var (
	commands = sync.OnceValue(formatCommands)
	operator = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^%([A-Z0-9_]+)(\((.*?)\))?(:([0-9]+))?%`) })
	newline  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`%[-_0^#]*[1-9]*(E|O)?n`) })
	oldStyle = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`%(DYNAMIC_METADATA|UPSTREAM_METADATA)\(\[(.*?)\]\)%`)
	})
	stateName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`%PER_REQUEST_STATE\((.*?)\)%`) })
)

// ParseFormat takes a format string apart.
func ParseFormat(text string) (Format, error) {
	if len(text) > maxFormat {
		return nil, fmt.Errorf("format of %d bytes: at most %d are allowed", len(text), maxFormat)
	}
	f := Format{}
	var plain []byte
	flush := func() {
		if len(plain) > 0 {
			f = append(f, FormatPart{Text: string(plain), Max: -1})
			plain = plain[:0]
		}
	}
	for at := 0; at < len(text); {
		switch {
		case text[at] != '%':
			plain = append(plain, text[at])
			at++
			continue
		case strings.HasPrefix(text[at:], "%%"):
			plain = append(plain, '%')
			at += 2
			continue
		}
		flush()
		m := operator().FindStringSubmatch(text[at:])
		if m == nil {
			return nil, refuseFormat("Incorrect configuration: %s. Couldn't find valid command at position %d", text, at)
		}
		p, err := parsePart(m[1], m[3], m[5])
		if err != nil {
			return nil, err
		}
		f = append(f, p)
		at += len(m[0])
	}
	flush()
	return f, nil
}

// ParseHeaderFormat is ParseFormat of a header's value: metadata may be named in
// the old way, ["a", "b"] (HeaderParser::translateMetadataFormat).
func ParseHeaderFormat(text string) (Format, error) {
	text = oldStyle().ReplaceAllStringFunc(text, func(s string) string {
		m := oldStyle().FindStringSubmatch(s)
		var names []string
		for name := range strings.SplitSeq(m[2], ",") {
			names = append(names, strings.Trim(strings.TrimSpace(name), `"`))
		}
		return "%" + m[1] + "(" + strings.Join(names, ":") + ")%"
	})
	return ParseFormat(stateName().ReplaceAllString(text, "%FILTER_STATE($1:PLAIN)%"))
}

func parsePart(name, arg, max string) (FormatPart, error) {
	c, known := commands()[name]
	if !known {
		return FormatPart{}, formatRefusal("Not supported field in StreamInfo: " + name)
	}
	switch {
	case c.syntax == alone && (arg != "" || max != ""):
		return FormatPart{}, fmt.Errorf("%s does not take any parameters or length", name)
	case c.syntax&wants != 0 && arg == "":
		return FormatPart{}, fmt.Errorf("%s requires parameters", name)
	case c.syntax&length == 0 && max != "":
		return FormatPart{}, refuseFormat("%s does not allow length to be specified.", name)
	}
	p := FormatPart{Op: c.op, Text: arg, Max: -1}
	if max != "" {
		n, err := strconv.ParseUint(max, 10, 31)
		if err != nil {
			return FormatPart{}, fmt.Errorf("%s: a length of %s bytes", name, max)
		}
		p.Max = int(n)
	}
	return p, p.arguments(name, arg)
}

// arguments reads what stands between the parentheses.
func (p *FormatPart) arguments(name, arg string) error {
	switch p.Op {
	case OpReq, OpResp, OpTrailer, OpReqWithoutQuery:
		return p.headers(arg)
	case OpQueryParam:
		p.Name = arg
	case OpPath:
		return p.path(arg)
	case OpGRPCStatus:
		return p.grpcStatus(arg)
	case OpCommonDuration:
		return p.points(arg)
	case OpResponseCodeDetails:
		if arg == "ALLOW_WHITESPACES" {
			p.Mode = KeepSpaces
		}
	case OpMetadata:
		return p.metadata(name, arg)
	case OpFilterState:
		return p.state(arg)
	case OpStartTime, OpStartTimeLocal, OpEmitTime, OpEmitTimeLocal, OpPeerCertStart, OpPeerCertEnd, OpUpstreamCertStart, OpUpstreamCertEnd:
		if newline().MatchString(arg) {
			return formatRefusal("Invalid header configuration. Format string contains newline.")
		}
	}
	return nil
}

func (p *FormatPart) headers(arg string) error {
	names := strings.Split(strings.ToLower(arg), "?")
	if len(names) > 2 {
		return formatRefusal("More than 1 alternative header specified in token: " + arg)
	}
	for _, n := range names {
		if strings.ContainsFunc(strings.TrimPrefix(n, ":"), notInName) {
			return formatRefusal("Invalid header configuration. Format string contains invalid characters.")
		}
	}
	p.Name = names[0]
	if len(names) == 2 {
		p.Other = names[1]
	}
	return nil
}

// notInName holds for what is not part of a token (RFC 9110, 5.6.2).
func notInName(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

func (p *FormatPart) path(arg string) error {
	query, source, _ := strings.Cut(arg, ":")
	source, _, _ = strings.Cut(source, ":")
	switch query {
	case "", "WQ":
	case "NQ":
		p.Mode |= PathNoQuery
	default:
		return refuseFormat("Invalid PATH option: '%s', only 'WQ'/'NQ' are allowed", query)
	}
	switch source {
	case "", "ORIG_OR_PATH":
		p.Mode |= PathOriginal | PathCurrent
	case "ORIG":
		p.Mode |= PathOriginal
	case "PATH":
		p.Mode |= PathCurrent
	default:
		return refuseFormat("Invalid PATH option: '%s', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed", source)
	}
	return nil
}

func (p *FormatPart) grpcStatus(arg string) error {
	switch arg {
	case "", "CAMEL_STRING":
		p.Mode = GRPCCamel
	case "SNAKE_STRING":
		p.Mode = GRPCSnake
	case "NUMBER":
		p.Mode = GRPCNumber
	default:
		return formatRefusal("GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER.")
	}
	return nil
}

func (p *FormatPart) points(arg string) error {
	parts := strings.Split(arg, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return refuseFormat("Invalid common duration configuration: %s.", arg)
	}
	p.Path, p.Mode = parts[:2], InMilliseconds
	if len(parts) == 3 {
		switch parts[2] {
		case "ms":
		case "us":
			p.Mode = InMicroseconds
		case "ns":
			p.Mode = InNanoseconds
		default:
			return refuseFormat("Invalid common duration precision: %s.", parts[2])
		}
	}
	return nil
}

func (p *FormatPart) metadata(name, arg string) error {
	parts := strings.Split(arg, ":")
	switch name {
	case "DYNAMIC_METADATA":
		p.Mode = MetadataDynamic
	case "CLUSTER_METADATA":
		p.Mode = MetadataCluster
	case "UPSTREAM_METADATA":
		p.Mode = MetadataHost
	default:
		whose := map[string]FormatMode{
			"DYNAMIC": MetadataDynamic, "CLUSTER": MetadataCluster, "ROUTE": MetadataRoute,
			"UPSTREAM_HOST": MetadataHost, "LISTENER": MetadataListener, "VIRTUAL_HOST": MetadataVirtualHost,
		}
		if p.Mode = whose[parts[0]]; p.Mode == ModeNone {
			return formatRefusal(parts[0] + " is not supported type of metadata")
		}
		if parts = parts[1:]; len(parts) == 0 {
			parts = []string{""}
		}
	}
	p.Name, p.Path = parts[0], parts[1:]
	return nil
}

func (p *FormatPart) state(arg string) error {
	parts := append(strings.Split(arg, ":"), "", "")
	key, kind, field := parts[0], parts[1], parts[2]
	if key == "" {
		return formatRefusal("Invalid filter state configuration, key cannot be empty.")
	}
	switch kind {
	case "", "TYPED":
		p.Mode = StateTyped
	case "PLAIN":
		p.Mode = StatePlain
	case "FIELD":
		p.Mode = StateField
	default:
		return formatRefusal("Invalid filter state serialize type, only support PLAIN/TYPED/FIELD.")
	}
	if (p.Mode == StateField) != (field != "") {
		return formatRefusal("Invalid filter state serialize type, FIELD should be used with the field name.")
	}
	p.Name, p.Other = key, field
	return nil
}

// formatRefusal is why Envoy refuses a format, in its own words, capital letters
// and full stops included.
type formatRefusal string

func (r formatRefusal) Error() string { return string(r) }

func refuseFormat(format string, args ...any) error {
	return formatRefusal(fmt.Sprintf(format, args...))
}
