package envoyv3

// What is honoured: one literal table per message type. A field that is not in
// it is refused, so what a newer Envoy API adds is refused until it is decided.
// docs/support.md is printed from these tables.

import (
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// level says what happens with a field that is set.
type level uint8

const (
	// refused is a problem, or a warning with --allow-unsupported.
	refused level = iota
	// never is a problem even then: without the field a request would go where
	// it must not, or a check would be missing.
	never
	// unbuilt is taken with a warning: what it asks for is not built, and cannot
	// change how a request is answered.
	unbuilt
	// honoured does what Envoy does.
	honoured
	// partly is honoured within the limits of the note.
	partly
	// noEffect changes nothing here by design; the note says why.
	noEffect
)

func (l level) String() string {
	return [...]string{"refused", "refused always", "taken with a warning", "honoured", "honoured, with limits", "no effect"}[l]
}

// support is a table's entry for a field; the zero value refuses.
type support struct {
	level level
	note  string
}

// notes are fields with a reason or a hint each.
type notes map[string]string

// table is what is honoured of one message type.
type table struct {
	of proto.Message
	// honoured lists the names of the fields, separated by blanks.
	honoured string
	partly   notes
	noEffect notes
	unbuilt  notes
	refused  notes
	never    notes
	// strict makes fields that are not listed never instead of refused.
	strict bool
	shut   []gate // what is not served yet, whatever the lists say
}

// fields is a table by field name.
type fields struct {
	byName map[string]support
	strict bool
}

func (f fields) field(name string) support {
	if s, ok := f.byName[name]; ok {
		return s
	}
	if f.strict {
		return support{level: never}
	}
	return support{}
}

// allTables lists every message type that decoding touches, as if everything
// were served: see serving.
func allTables() []table {
	return concat(bootstrapTables(), sharedTables(), sourceTables(), listenerTables(), networkFilterTables(), rateLimitTables(), httpTables(), originTables(), specifierTables(), scopeTables(), filterTables(), routeTables(), retryTables(), redirectTables(), clusterTables(), tlsTables(), matcherTables(), ownTables())
}

func concat(lists ...[]table) (all []table) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// supportTable is tables by message type, made on first use; everythingTable is
// that of Options.everything, controlPlaneTable is controlPlaneTables.
var (
	supportTable      = sync.OnceValue(func() map[protoreflect.FullName]fields { return byType(tables()) })
	everythingTable   = sync.OnceValue(func() map[protoreflect.FullName]fields { return byType(everything().tables()) })
	controlPlaneTable = sync.OnceValue(func() map[protoreflect.FullName]fields { return byType(controlPlaneTables()) })
)

func byType(tables []table) map[protoreflect.FullName]fields {
	m := make(map[protoreflect.FullName]fields, len(tables))
	for _, t := range tables {
		m[t.of.ProtoReflect().Descriptor().FullName()] = t.fields()
	}
	return m
}

func (t table) fields() fields {
	f := fields{byName: map[string]support{}, strict: t.strict}
	for name := range strings.FieldsSeq(t.honoured) {
		f.byName[name] = support{level: honoured}
	}
	for level, notes := range map[level]notes{partly: t.partly, noEffect: t.noEffect, unbuilt: t.unbuilt, refused: t.refused, never: t.never} {
		for name, note := range notes {
			f.byName[name] = support{level, note}
		}
	}
	for _, g := range t.shut {
		f.byName[g.field] = support{never, g.hint}
	}
	return f
}

// Hints that several tables give.
const (
	hintTLS   = "TLS is not supported yet"
	hintProxy = "the PROXY protocol is not supported yet"
	hintHTTP2 = "HTTP/2 is not supported yet"
	hintHTTP3 = "HTTP/3 is not supported"
	labelOnly = "describes the resource; nothing here reads it"
	noMeta    = "no filter here reads it"
)
