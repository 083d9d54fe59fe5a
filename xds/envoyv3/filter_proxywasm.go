package envoyv3

// The wasm filter.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"os"
	"time"

	wasmfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/wasmmodule"
)

func wasmTables() []table {
	return []table{
		{of: &wasmfilterv3.Wasm{}, honoured: "config"},
		{
			of:       &wasmv3.PluginConfig{},
			honoured: "name root_id vm_config configuration fail_open failure_policy reload_config",
			never: notes{
				"capability_restriction_config":   "every module has the same calls: none of them reaches out of the proxy",
				"allow_on_headers_stop_iteration": "a head that a module holds back holds its body back, as by default",
			},
			strict: true,
		},
		{
			of:       &wasmv3.VmConfig{},
			honoured: "code configuration environment_variables",
			partly: notes{
				"runtime": "a module of WebAssembly: wazero runs it, whatever of v8, wasmtime and wamr is named",
				"vm_id":   "the module is told it; data and queues are shared by the workers of one filter, not by all of that name",
			},
			noEffect: notes{"allow_precompiled": "modules are compiled here", "nack_on_code_cache_miss": "code is never fetched"},
			strict:   true,
		},
		{of: &wasmv3.EnvironmentVariables{}, honoured: "host_env_keys key_values", strict: true},
		{of: &wasmv3.ReloadConfig{}, honoured: "backoff", strict: true},
		{of: &corev3.AsyncDataSource{}, honoured: "local", never: notes{"remote": "code is not fetched while a configuration is taken: use local"}, strict: true},
	}
}

// wasmBackoff is how long a module that has failed is left alone where nothing is said.
const wasmBackoff = time.Second

func (d *decoder) wasm(p path, m *wasmfilterv3.Wasm) *config.Wasm {
	p = p.dot("config")
	c, vm := m.GetConfig(), m.GetConfig().GetVmConfig()
	w := &config.Wasm{
		Name: c.GetName(), RootID: c.GetRootId(), VMID: vm.GetVmId(), Env: map[string]string{},
		Config:  d.wasmText(p.dot("configuration"), c.GetConfiguration()),
		Backoff: d.duration(p.dot("reload_config").dot("backoff").dot("base_interval"), c.GetReloadConfig().GetBackoff().GetBaseInterval(), wasmBackoff),
	}
	switch c.GetFailurePolicy() {
	case wasmv3.FailurePolicy_FAIL_OPEN:
		w.Failure = config.WasmOpen
	case wasmv3.FailurePolicy_FAIL_RELOAD:
		w.Failure = config.WasmReload
	default:
		if c.GetFailOpen() {
			w.Failure = config.WasmOpen
		}
	}
	if c.GetFailOpen() && c.GetFailurePolicy() != wasmv3.FailurePolicy_UNSPECIFIED {
		d.refuse(p.dot("fail_open"), "only one of fail_open or failure_policy can be set")
	}
	pv := p.dot("vm_config")
	if vm == nil {
		d.refuse(pv, "a module is required")
		return w
	}
	w.VMConfig = d.wasmText(pv.dot("configuration"), vm.GetConfiguration())
	d.wasmEnv(pv.dot("environment_variables"), vm.GetEnvironmentVariables(), w.Env)
	switch vm.GetRuntime() {
	case "", "envoy.wasm.runtime.v8", "envoy.wasm.runtime.wasmtime", "envoy.wasm.runtime.wamr":
	default:
		d.never(pv.dot("runtime"), "a module of WebAssembly is run, nothing that is built into Envoy")
		return w
	}
	if vm.GetCode().GetRemote() == nil {
		w.Code = d.wasmCode(pv.dot("code").dot("local"), vm.GetCode().GetLocal())
	}
	return w
}

func (d *decoder) wasmCode(p path, m *corev3.DataSource) string {
	if m.GetSpecifier() == nil {
		d.refuse(p, "a module is required")
		return ""
	}
	code, ok := "", true
	if f := m.GetFilename(); f != "" {
		code, ok = d.fileOf(p.dot("filename"), f, wasmmodule.MaxCode)
	} else {
		code, ok = d.fileText(p, m)
	}
	if !ok {
		return ""
	}
	if err := wasmmodule.Check([]byte(code)); err != nil {
		d.refuse(p, "%v", err)
	}
	return code
}

// wasmText is a configuration as the module is given it: a structure as JSON, texts and bytes as they are.
func (d *decoder) wasmText(p path, a *anypb.Any) string {
	if a == nil {
		return ""
	}
	switch a.MessageName() {
	case "google.protobuf.StringValue":
		return string(unpacked(d, p, a, &wrapperspb.StringValue{}).GetValue())
	case "google.protobuf.BytesValue":
		return string(unpacked(d, p, a, &wrapperspb.BytesValue{}).GetValue())
	case "google.protobuf.Struct":
		return config.Value{Kind: config.ValueStruct, Fields: fieldsOf(unpacked(d, p, a, &structpb.Struct{}))}.String()
	}
	return string(a.GetValue())
}

func unpacked[M proto.Message](d *decoder, p path, a *anypb.Any, m M) M {
	if err := a.UnmarshalTo(m); err != nil {
		d.refuse(p, "%v", err)
	}
	return m
}

func (d *decoder) wasmEnv(p path, m *wasmv3.EnvironmentVariables, env map[string]string) {
	for _, key := range m.GetHostEnvKeys() {
		if v, there := os.LookupEnv(key); there {
			env[key] = v
		}
	}
	for _, key := range sortedKeys(m.GetKeyValues()) {
		if _, twice := env[key]; twice {
			d.refuse(p.dot("key_values").key(key), "Key %s is duplicated in envoy.extensions.wasm.v3.VmConfig.environment_variables", key)
		}
		env[key] = m.GetKeyValues()[key]
	}
}
