package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBundle(t *testing.T) {
	const glue = `"use strict"; (() => { globalThis.Go = class { glued() {} } })();`
	tests := []struct {
		name, source string
		want, never  string // in the bundle
		wantErr      string
	}{
		{name: "wasm_exec.js is the toolchain's, and its first line says which",
			source: `import "wasm_exec.js";`, want: "glued", never: "wasm_exec.js\""},
		{name: "a module without it does not claim to have it",
			source: `export const a = 1;`, never: "wasm_exec.js"},
		{name: "constants become strings",
			source: `export const a = __WASM_FILE__;`, want: `"livevalet-1.wasm"`},
		{name: "the library stays an import from the server",
			source: `import { connect } from "/livevalet.js"; connect();`, want: `from"/livevalet.js"`},
		{name: "import.meta.url survives, so the bundle works from any path",
			source: `export const u = new URL("x", import.meta.url);`, want: "import.meta.url"},
		{name: "an unknown import is an error that names it",
			source: `import "./nowhere.ts";`, wantErr: "./nowhere.ts"},
		{name: "a warning is an error",
			source: `export const a = { twice: 1, twice: 2 };`, wantErr: "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "entry.ts"), []byte(tt.source), 0o666); err != nil {
				t.Fatal(err)
			}
			js, err := bundle(dir, "entry.ts", []byte(glue), map[string]string{"__WASM_FILE__": "livevalet-1.wasm"})
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want one with %s", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(js), tt.want) || tt.never != "" && strings.Contains(string(js), tt.never) {
				t.Errorf("bundle is %s\nwant %q and never %q", js, tt.want, tt.never)
			}
			first, _, _ := strings.Cut(string(js), "\n")
			if marked := first == glueMark([]byte(glue)); marked != strings.Contains(tt.source, "wasm_exec.js") {
				t.Errorf("first line is %s", first)
			}
		})
	}
}
