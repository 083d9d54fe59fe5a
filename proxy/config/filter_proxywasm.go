package config

import "time"

// Wasm is the filter that runs a proxy-wasm module (Envoy extensions.filters.http.wasm.v3.Wasm). Code is a module that
// wasmmodule.Check has taken.
type Wasm struct {
	Name, RootID, VMID string
	Code               string
	// VMConfig and Config are what the module is started and configured with.
	VMConfig, Config string
	// Env are the variables that it finds in its environment.
	Env map[string]string
	// Failure is what becomes of requests when the module has failed.
	Failure WasmFailure
	// Backoff is how long a module that failed is not started again, with WasmReload.
	Backoff time.Duration
}

// WasmFailure is PluginConfig.failure_policy.
type WasmFailure uint8

// The policies: 503, past the filter, 503 until it has been started again.
const (
	WasmClosed WasmFailure = iota
	WasmOpen
	WasmReload
)
