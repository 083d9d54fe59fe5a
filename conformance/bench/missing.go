package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// missing names everything that the chosen rows need and this machine lacks, with the command that installs it.
func missing(chosen []row, proxies []proxy, o options) error {
	var packages []string
	want := func(program string) {
		if _, err := exec.LookPath(program); err != nil && !slices.Contains(packages, debianPackage(program)) {
			packages = append(packages, debianPackage(program))
		}
	}
	wantAttache := false
	for _, r := range chosen {
		for _, program := range serversOf(r) {
			want(program)
		}
		for _, p := range proxies {
			if !slices.Contains(r.peers, p.name) {
				continue
			}
			if p.program != "" {
				want(p.program)
			}
			wantAttache = wantAttache || p.name == "attache"
		}
	}
	if o.guard {
		want("strace")
	}
	var problems []string
	if len(packages) > 0 {
		problems = append(problems, "programs are missing; install them: apt-get install "+strings.Join(packages, " "))
	}
	if _, err := os.Stat(o.attache); wantAttache && err != nil {
		problems = append(problems, o.attache+" is missing; build it: make build (or measure peers alone: -only nginx,haproxy,nutcracker,fasthttp,relay,direct)")
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s", strings.Join(problems, "\n       "))
	}
	return nil
}

// debianPackage is mostly the program's own name, in Debian and Ubuntu.
func debianPackage(program string) string {
	if program == "h2load" {
		return "nghttp2-client"
	}
	return program
}

// serversOf are a row's backends and load.
func serversOf(r row) []string {
	switch {
	case r.protocol == memcached:
		return []string{"memcached"}
	case r.protocol == stream, r.protocol == grpc, r.protocol == grpcStream:
		return nil
	case r.protocol == h2toh1, r.protocol == h2toh2:
		return []string{"nginx", "h2load"}
	case r.method == idle:
		return []string{"nginx"}
	}
	return []string{"nginx", "wrk"}
}
