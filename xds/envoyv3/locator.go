package envoyv3

// Where a collection is: xds.core.v3.ResourceLocator as a URL (Envoy
// config/xds_resource.cc, decodeUrl).

import (
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
)

// onlyFiles is what of a locator is honoured.
const onlyFiles = "file: URLs, of a ListenerCollection (of clusters, too: ClusterCollection is no list) whose entries are inline; xdstp:// collections are not supported"

// Locator decodes url, which stands at path: where a collection of resources is. The
// value is only meant for use if no problem is more than a warning.
func Locator(path, url string, o Options) (config.Source, []Problem) {
	d := &decoder{opts: o}
	s := d.locator(root(path), url)
	return s, d.end()
}

func (d *decoder) locator(p path, url string) config.Source {
	s := config.Source{Kind: config.SourcePath, Collection: true, InitialFetchTimeout: defaultFirstFetch}
	name, fragment, _ := strings.Cut(pathOfURL(url), "#")
	d.directives(p, fragment)
	switch {
	case strings.HasPrefix(url, "file:"):
		s.Path = "/" + percentDecode(name[1:])
	case strings.HasPrefix(url, "xdstp:"):
		d.never(p, hintXDSTP+": file: URLs are")
	case strings.HasPrefix(url, "http:"):
		d.never(p, "http: file: URLs are supported")
	default:
		d.refuse(p, "%s does not have a xdstp:, http: or file: scheme", url)
	}
	return s
}

// pathOfURL is what follows the authority; it begins with a slash.
func pathOfURL(url string) string {
	_, rest, found := strings.Cut(url, "://")
	if !found {
		rest = url
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return "/"
}

// directives looks at what follows the #. A file has no other place to be at (alt), and
// is taken whole (entry), in Envoy too.
func (d *decoder) directives(p path, fragment string) {
	if fragment == "" {
		return
	}
	for part := range strings.SplitSeq(fragment, ",") {
		switch {
		case strings.HasPrefix(part, "alt="), strings.HasPrefix(part, "entry="):
			d.warn(p, "%s has no effect", part)
		default:
			d.refuse(p, "Unknown fragment component %s", part)
		}
	}
}

// percentDecode leaves alone what is no escape, as Envoy does (http/utility.cc,
// PercentEncoding::decode).
func percentDecode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
