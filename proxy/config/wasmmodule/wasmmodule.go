// Package wasmmodule says which WebAssembly modules are taken: those that compile, speak the proxy-wasm ABI in a version
// that is known here, and import nothing that is not.
package wasmmodule

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// MaxCode bounds a module, in bytes; MaxPages the memory of one instance, in pages of 64 KiB.
const (
	MaxCode  = 16 << 20
	MaxPages = 4096
)

// Config is how modules are compiled and run: memory is bounded, and a module that is closed ends where it loops.
func Config(compiled bool) wazero.RuntimeConfig {
	c := wazero.NewRuntimeConfigInterpreter()
	if compiled {
		c = wazero.NewRuntimeConfig()
	}
	return c.WithMemoryLimitPages(MaxPages).WithCloseOnContextDone(true)
}

// versions are the exports that tell the ABI.
var versions = [...]string{"proxy_abi_version_0_2_1", "proxy_abi_version_0_2_0"}

// Check says why a module is not taken. Any goroutine.
func Check(code []byte) error {
	if len(code) > MaxCode {
		return fmt.Errorf("module of %d bytes: at most %d are allowed", len(code), MaxCode)
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, Config(false))
	defer rt.Close(ctx) //nolint:errcheck // nothing of it is kept
	m, err := rt.CompileModule(ctx, code)
	if err != nil {
		return fmt.Errorf("not a WebAssembly module: %w", err)
	}
	return exports(m.ExportedFunctions())
}

func exports(all map[string]api.FunctionDefinition) error {
	known := false
	for _, v := range versions {
		known = known || all[v] != nil
	}
	if !known {
		return fmt.Errorf("module does not export %s or %s", versions[0], versions[1])
	}
	if all["malloc"] == nil && all["proxy_on_memory_allocate"] == nil {
		return fmt.Errorf("module exports neither proxy_on_memory_allocate nor malloc")
	}
	return nil
}
