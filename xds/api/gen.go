// Package api holds the protos of the parts that Envoy does not have: filters
// and load-balancing policies of attache, in Envoy's manner. The Go code below
// it is generated from the .proto files beside it (protoc 3.21,
// protoc-gen-go v1.36.12).
package api

//go:generate sh -c "protoc --go_out=. --go_opt=module=github.com/attache-mesh/attache/xds/api $(find attache -name '*.proto')"
