package extauthz

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/route"
)

// names are compiled conditions on header names, of which one is enough.
type names []route.Text

func compileNames(all []config.StringMatch) (n names) {
	for i := range all {
		n = append(n, route.CompileText(&all[i]))
	}
	return n
}

func (n names) match(name []byte) bool {
	for i := range n {
		if n[i].Match(name) {
			return true
		}
	}
	return false
}

// answerNames are which headers of an HTTP service's answer go where.
type answerNames struct{ upstream, upstreamAppend, client, clientOnSuccess, metadata names }

func compileAnswer(h *config.AuthzHTTP) answerNames {
	return answerNames{
		compileNames(h.Upstream), compileNames(h.UpstreamAppend), compileNames(h.Client),
		compileNames(h.ClientOnSuccess), compileNames(h.Metadata),
	}
}
