package filter

// Which headers a service may change (Envoy source/extensions/filters/common/mutation_rules).

import (
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
)

// Mutation is what is done to a header.
type Mutation uint8

// The mutations. MutationAppend is one that leaves what is there.
const (
	MutationSet Mutation = iota
	MutationAppend
	MutationRemove
)

// MayMutate says whether rules allow a change (Checker::check). name is in lower case and
// not empty; value is not looked at where it is removed. Any goroutine.
func MayMutate(rules *config.MutationRules, how Mutation, name, value string) bool {
	if how == MutationRemove {
		return name[0] != ':' && name != "host" && mayTouch(rules, how, name)
	}
	return mayTouch(rules, how, name) && fits(name, value)
}

// mayTouch is Checker::isAllowed.
func mayTouch(rules *config.MutationRules, how Mutation, name string) bool {
	switch {
	case rules.Disallow != nil && rules.Disallow.MatchString(name):
		return false
	case rules.Allow != nil && rules.Allow.MatchString(name):
		return true
	case rules.NoAll:
		return false
	case !rules.Routing && (name == "host" || name == ":authority" || name == ":method" || name == ":scheme"):
		return false
	case name[0] == ':' && (how == MutationAppend || rules.NoSystem):
		return false
	}
	return rules.Envoy || !strings.HasPrefix(name, "x-envoy")
}

// fits is Checker::isValidValue.
func fits(name, value string) bool {
	switch name {
	case "host", ":authority":
		return value != "" && !strings.ContainsAny(value, " \t/?#@\\\"<>^`{|}")
	case ":scheme":
		return value == "http" || value == "https"
	case ":status":
		n, err := strconv.Atoi(value)
		return err == nil && n >= 200 && n <= 599
	}
	return name[0] == ':' || http1.CleanValue([]byte(value))
}
