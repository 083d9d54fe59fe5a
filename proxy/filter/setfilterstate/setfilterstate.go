// Package setfilterstate is the filter, and the network filter, that leave objects
// for whoever comes later: a cluster, an SNI, an address, or any text that
// conditions and logs look at (Envoy source/extensions/filters/common/set_filter_state).
package setfilterstate

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/netfilter"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter leaves objects for the request.
type Filter struct{ objects []object }

// Connections leaves objects for the connection.
type Connections struct {
	greeted, secured []object
	wall             func() time.Time
}

type object struct {
	*config.StateObject
	text *format.Body
}

// New compiles the filter.
func New(cfg *config.SetFilterState) *Filter { return &Filter{compile(cfg.Objects)} }

// Own compiles what a route says of it: objects in place of the filter's.
func Own(cfg any) any {
	if c, ok := cfg.(*config.SetFilterState); ok {
		return New(c)
	}
	return nil
}

// NewConnections compiles the network filter.
func NewConnections(cfg *config.SetConnectionState, env netfilter.Env) *Connections {
	return &Connections{compile(cfg.Greeted), compile(cfg.Secured), env.Wall}
}

func compile(all []config.StateObject) (list []object) {
	for i := range all {
		list = append(list, object{&all[i], format.CompileBody(&all[i].Text, nil)})
	}
	return list
}

// Serve leaves the objects and lets the request go on.
func (f *Filter) Serve(r *filter.Request) {
	if own, ok := r.Own().(*Filter); ok {
		f = own
	}
	for i := range f.objects {
		f.objects[i].set(&r.Info.State, r.Look())
	}
	r.Next()
}

// Greet leaves the objects of connections that come.
func (f *Connections) Greet(c *netfilter.Conn) bool { return f.set(c, f.greeted) }

// Secured leaves those of connections whose handshake is over.
func (f *Connections) Secured(c *netfilter.Conn) bool { return f.set(c, f.secured) }

func (f *Connections) set(c *netfilter.Conn, objects []object) bool {
	if len(objects) == 0 {
		return true
	}
	v := &streaminfo.View{Info: &streaminfo.Info{Conn: c.Info, Remote: c.Info.Peer, Metadata: c.Info.Metadata}, Now: c.Worker().Now(), Wall: f.wall()}
	v.Times.Began = c.Info.Began
	for i := range objects {
		objects[i].set(&c.Info.State, v)
	}
	return true
}

// set makes the object of what is known and puts it in its place, unless the text
// makes none or the object that is there is not to be replaced.
func (o *object) set(to *streaminfo.State, v *streaminfo.View) {
	text := strings.TrimSuffix(string(o.text.Append(nil, v)), "\n")
	if text == "" && o.SkipEmpty {
		return
	}
	made := streaminfo.Object{Name: o.Key, Text: text, ReadOnly: o.ReadOnly, Shared: streaminfo.Sharing(o.Shared)}
	if !o.read(&made) {
		return
	}
	_ = to.Set(made) // one that is read-only stays
}

// read reads the text as the object's kind; false if it cannot be.
func (o *object) read(made *streaminfo.Object) bool {
	switch o.Kind {
	case config.StateText:
	case config.StateAddress:
		at, err := netip.ParseAddrPort(made.Text)
		if err != nil {
			return false
		}
		made.Text, made.Hashed = at.String(), true
		made.Fields = config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{
			"ip":   {Kind: config.ValueText, Text: at.Addr().String()},
			"port": {Kind: config.ValueNumber, Number: float64(at.Port())},
		}}
	case config.StateIP:
		_, err := netip.ParseAddr(made.Text)
		return err == nil
	case config.StateNumber:
		_, err := strconv.ParseUint(made.Text, 10, 32)
		return err == nil
	case config.StatePort:
		n, err := strconv.ParseUint(made.Text, 10, 16)
		return err == nil && n > 0
	}
	return true
}
