package route

// Which virtual host a Host header means.

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/attache-mesh/attache/proxy/match"
)

// domains finds a virtual host by Host: exact name, then the longest "*suffix", then the longest "prefix*", then "*"
// (RouteMatcher::findVirtualHost). Values are indices of virtual hosts.
type domains struct {
	exact    map[string]int
	suffixes []wildcards // longest first
	prefixes []wildcards // longest first
	rest     int         // the host of "*", or -1 once closed
	hasRest  bool
	onlyRest bool // nothing but "*": Host is not looked at
	cutPort  bool
}

// wildcards are the patterns whose fixed part has one length.
type wildcards struct {
	length int
	hosts  map[string]int
}

// maxHost is how long a Host may be to be lowered without allocation; longer ones are found, too.
const maxHost = 256

// add enters the domains of virtual host number host.
func (d *domains) add(table string, names []string, host int) error {
	if d.exact == nil {
		d.exact = map[string]int{}
	}
	for _, name := range names {
		name = strings.ToLower(name)
		if name == "*" {
			if d.hasRest {
				return refuse("Only a single wildcard domain is permitted in route %s", table)
			}
			d.rest, d.hasRest = host, true
			continue
		}
		hosts, key := d.exact, name
		switch {
		case strings.HasPrefix(name, "*"):
			key = name[1:]
			hosts = sameLength(&d.suffixes, len(key))
		case strings.HasSuffix(name, "*"):
			key = name[:len(name)-1]
			hosts = sameLength(&d.prefixes, len(key))
		}
		if _, taken := hosts[key]; taken {
			return refuse("Only unique values for domains are permitted. Duplicate entry of domain %s in route %s", name, table)
		}
		hosts[key] = host
	}
	return nil
}

// sameLength returns the patterns of one length, which may be new.
func sameLength(all *[]wildcards, length int) map[string]int {
	for _, w := range *all {
		if w.length == length {
			return w.hosts
		}
	}
	w := wildcards{length, map[string]int{}}
	*all = append(*all, w)
	return w.hosts
}

// close sorts what was added.
func (d *domains) close(ignorePort bool) {
	longest := func(a, b wildcards) int { return cmp.Compare(b.length, a.length) }
	slices.SortFunc(d.suffixes, longest)
	slices.SortFunc(d.prefixes, longest)
	d.onlyRest = len(d.exact)+len(d.suffixes)+len(d.prefixes) == 0
	d.cutPort = ignorePort
	if !d.hasRest {
		d.rest = -1
	}
}

// find returns the index of the virtual host, or -1.
func (d *domains) find(host []byte) int {
	if d.onlyRest {
		return d.rest
	}
	if host == nil {
		return -1
	}
	if d.cutPort {
		host = host[:portStart(host)]
	}
	var buf [maxHost]byte
	return d.findLower(match.AppendLower(buf[:0], host))
}

func (d *domains) findLower(host []byte) int {
	if i, ok := d.exact[string(host)]; ok {
		return i
	}
	for _, w := range d.suffixes {
		// The star stands for at least one character.
		if w.length < len(host) {
			if i, ok := w.hosts[string(host[len(host)-w.length:])]; ok {
				return i
			}
		}
	}
	for _, w := range d.prefixes {
		if w.length < len(host) {
			if i, ok := w.hosts[string(host[:w.length])]; ok {
				return i
			}
		}
	}
	return d.rest
}

// portStart returns where ":port" begins, or the length (HeaderUtility::getPortStart).
func portStart(host []byte) int {
	colon := bytes.LastIndexByte(host, ':')
	if colon < 0 || bytes.LastIndexByte(host, ']') > colon {
		return len(host)
	}
	return colon
}
