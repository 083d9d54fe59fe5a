// Package behaviour runs whole Envoy configurations as text scripts: what the
// hosts answer and what clients send, beside what each of them then saw. The data
// plane is the real one (xds/bootstrap, proxy.Server) in the simulator, so that a
// timeout of an hour takes no time and the same script gives the same bytes.
//
//	title, and what is shown
//	-- config --
//	static_resources: …            (YAML of a bootstrap; $web is the address of the host web)
//	-- file runtime/on --
//	0                              (a file below the directory $dir)
//	-- env --
//	NAME=VALUE                     (what the program finds in its environment)
//	-- steps --
//	host web                       what it answers, one line for each request in turn
//	    503 | x-reason: full
//	    delay 2s | 200 | body ok
//	GET /a                         a request; its fields, body and options below it
//	    x-a: 1
//	> web: GET /a HTTP/1.1         what the hosts saw
//	>   host: example.com
//	< HTTP/1.1 503 Service Unavailable
//	<   x-reason: full             what the client saw
//	stats cluster.web.upstream_rq_*
//	= cluster.web.upstream_rq_503: 1
//
// Lines that begin with >, < or = are what is expected; -update writes them anew.
// Steps are in steps.go, a host's answers in answer.go, a request's options in
// request.go.
package behaviour
