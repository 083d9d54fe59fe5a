// The Gateway API's definitions, which are YAML files of its module: no program
// here is built of it.
module github.com/attache-mesh/attache/conformance/infra/tools/gateway

go 1.26.0

require sigs.k8s.io/gateway-api v1.6.1
