package conformance

// The ext_authz filter before an authorization service of grpc-go's.

//lint:file-ignore SA1019 services still answer with what is deprecated

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// door is an authorization service that does as the path says.
type door struct{ seen chan *authv3.AttributeContext }

func (d door) Check(ctx context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	d.seen <- r.GetAttributes()
	if md, _ := metadata.FromIncomingContext(ctx); fmt.Sprint(md.Get("x-door")) != "[front]" {
		return nil, status.Error(codes.InvalidArgument, "no initial metadata")
	}
	option := func(key, value string, appends *wrapperspb.BoolValue) *corev3.HeaderValueOption {
		return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: key, Value: value}, Append: appends}
	}
	switch r.GetAttributes().GetRequest().GetHttp().GetPath() {
	case "/allowed?old=1&keep=2":
		meta, _ := structpb.NewStruct(map[string]any{"user": "joe", "n": 5, "list": []any{"a", true}})
		return &authv3.CheckResponse{
			Status: &statuspb.Status{}, DynamicMetadata: meta,
			HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
				Headers:              []*corev3.HeaderValueOption{option("x-user", "joe", nil), option("x-roles", "b", wrapperspb.Bool(true))},
				HeadersToRemove:      []string{"x-secret", "host"},
				ResponseHeadersToAdd: []*corev3.HeaderValueOption{option("x-told", "yes", nil)},
				QueryParametersToSet: []*corev3.QueryParameter{{Key: "new", Value: "3"}}, QueryParametersToRemove: []string{"old"},
			}},
		}, nil
	case "/denied":
		return &authv3.CheckResponse{
			Status: &statuspb.Status{Code: int32(codes.PermissionDenied)},
			HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
				Status:  &typev3.HttpStatus{Code: typev3.StatusCode_Unauthorized},
				Headers: []*corev3.HeaderValueOption{option("x-why", "because", nil), option("content-type", "text/html", nil)}, Body: "<b>no</b>",
			}},
		}, nil
	case "/plainly-denied":
		return &authv3.CheckResponse{Status: &statuspb.Status{Code: int32(codes.PermissionDenied)}}, nil
	case "/slow":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, status.Error(codes.Internal, "the door is stuck")
}

const authzConfig = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %[1]s}}}
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %[2]s}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /}
                route: {cluster: web}
                typed_per_filter_config:
                  authz: {"@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute, check_settings: {context_extensions: {route: all}}}
          http_filters:
          - name: authz
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              transport_api_version: V3
              %[5]s
              allowed_headers: {patterns: [{prefix: "x-"}, {exact: ":method"}]}
              with_request_body: {max_request_bytes: 100, pack_as_bytes: true}
              grpc_service: {envoy_grpc: {cluster_name: authz}, timeout: 0.3s, initial_metadata: [{key: x-door, value: front}]}
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: web
    load_assignment: {cluster_name: web, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[3]s}}}}]}]}
  - name: authz
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment: {cluster_name: authz, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[4]s}}}}]}]}
`

func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(addr, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestExtAuthzService: what the service is told, and what becomes of what it says.
func TestExtAuthzService(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d, s, ended := door{make(chan *authv3.AttributeContext, 10)}, grpc.NewServer(), make(chan struct{})
	authv3.RegisterAuthorizationServer(s, d)
	go func() { _ = s.Serve(l); close(ended) }()
	t.Cleanup(func() { s.Stop(); <-ended })
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s user=%s roles=%s secret=%s failed=%s body=%s", r.URL, r.Header.Get("x-user"), r.Header.Get("x-roles"),
			r.Header.Get("x-secret"), r.Header.Get("x-envoy-auth-failure-mode-allowed"), b)
	}))
	t.Cleanup(web.Close)
	for _, mode := range []struct{ text, broken string }{
		{"failure_mode_allow: false", "403 "},
		{"{failure_mode_allow: true, failure_mode_allow_header_add: true}", "200 %s user= roles=a secret=s failed=true body=hi"},
	} {
		t.Run(mode.text, func(t *testing.T) {
			addr := freeAddr(t)
			setting := strings.NewReplacer("{", "", "}", "", ", ", "\n              ").Replace(mode.text)
			launch(t, program(t, "./cmd/attache"), "-c", write(t, fmt.Sprintf(authzConfig, portOf(t, freeAddr(t)), portOf(t, addr), portOf(t, web.URL), portOf(t, l.Addr().String()), setting))).serving("tcp", addr)
			ask := func(path string) (got, why string, seen *authv3.AttributeContext) {
				t.Helper()
				req, _ := http.NewRequest("POST", "http://"+addr+path, strings.NewReader("hi"))
				for _, h := range []string{"x-roles: a", "x-secret: s", "cookie: a=b"} {
					name, value, _ := strings.Cut(h, ": ")
					req.Header.Set(name, value)
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				text, err := body(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				select {
				case seen = <-d.seen:
				case <-time.After(5 * time.Second):
					t.Fatal("the service was not asked")
				}
				return fmt.Sprintf("%d %s", res.StatusCode, text), res.Header.Get("x-why") + res.Header.Get("x-told"), seen
			}
			got, told, seen := ask("/allowed?old=1&keep=2")
			if got != "200 /allowed?keep=2&new=3 user=joe roles=a,b secret= failed= body=hi" || told != "yes" {
				t.Errorf("allowed: %q, told %q", got, told)
			}
			h := seen.GetRequest().GetHttp()
			if h.GetMethod() != "POST" || h.GetHost() != addr || h.GetProtocol() != "HTTP/1.1" || string(h.GetRawBody()) != "hi" || h.GetScheme() != "http" ||
				h.GetHeaders()["x-roles"] != "a" || h.GetHeaders()[":method"] != "POST" || h.GetHeaders()["cookie"] != "" || h.GetHeaders()["x-envoy-auth-partial-body"] != "false" {
				t.Errorf("the service was told %v", h)
			}
			if seen.GetSource().GetAddress().GetSocketAddress().GetAddress() != "127.0.0.1" || seen.GetDestination().GetAddress().GetSocketAddress().GetPortValue() == 0 ||
				seen.GetContextExtensions()["route"] != "all" || time.Since(seen.GetRequest().GetTime().AsTime()).Abs() > time.Minute {
				t.Errorf("the service was told %v", seen)
			}
			if got, why, _ := ask("/denied"); got != "401 <b>no</b>" || why != "because" {
				t.Errorf("denied: %q, because %q", got, why)
			}
			if got, _, _ := ask("/plainly-denied"); got != "403 " {
				t.Errorf("plainly denied: %q", got)
			}
			for _, path := range []string{"/slow", "/broken"} {
				want := strings.Replace(mode.broken, "%s", path, 1)
				if got, _, _ := ask(path); got != want {
					t.Errorf("%s: %q, want %q", path, got, want)
				}
			}
		})
	}
}
