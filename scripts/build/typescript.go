package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	esbuild "github.com/evanw/esbuild/pkg/api"
)

// scripts are the bundles to make, in order: a later one may name an earlier
// one by its constant.
var scripts = []struct {
	role, entry, name string
	constant          string // which the name is given to, for those that follow
}{
	{role: "worker", entry: "web/src/worker.ts", name: "livevalet-worker-*.js", constant: "__WORKER_FILE__"},
	{role: "worklets", entry: "web/src/sound/worklets.ts", name: "livevalet-worklets-*.js", constant: "__WORKLET_FILE__"},
	{role: "library", entry: "web/src/livevalet.ts", name: "livevalet.js"},
	{role: "demo", entry: "web/src/demo/main.ts", name: "demo-*.js"},
	{role: "doctor", entry: "web/src/doctor/main.ts", name: "doctor-*.js"},
}

// declarations are the library's types, for those who import it.
const declarations = "web/src/livevalet.d.ts"

// typescript bundles the library, its worker and the pages.
func (b *builder) typescript(wasm file) (files, error) {
	glue, err := b.tools.glue()
	if err != nil {
		return nil, err
	}
	inputs, err := b.sources("web/src", "web/tsconfig.json", "web/package.json")
	if err != nil {
		return nil, err
	}
	inputs = append(inputs, wasm.Path, b.tools["GOVERSION"], sum(glue))
	return b.step("typescript", inputs, func() (files, error) {
		constants := map[string]string{
			"__WASM_FILE__":  path.Base(wasm.Path),
			"__GO_VERSION__": b.tools["GOVERSION"],
		}
		made := files{}
		for _, s := range scripts {
			js, err := bundle(b.root, s.entry, glue, constants)
			if err != nil {
				return nil, err
			}
			f, err := b.publish(s.name, js)
			if err != nil {
				return nil, err
			}
			made[s.role] = f
			if s.constant != "" {
				constants[s.constant] = path.Base(f.Path)
			}
		}
		types, err := os.ReadFile(b.path(declarations))
		if err != nil {
			return nil, err
		}
		made["types"], err = b.publish(path.Base(declarations), types)
		return made, err
	})
}

// bundle makes one ES module of entry and all that it imports. `wasm_exec.js`
// becomes glue; a module that contains it says so in its first line, with the
// sum of what went in. Warnings are errors: nobody reads them in a build that
// went well.
func bundle(root, entry string, glue []byte, constants map[string]string) ([]byte, error) {
	define := map[string]string{}
	for name, value := range constants {
		define[name] = fmt.Sprintf("%q", value)
	}
	used := false
	result := esbuild.Build(esbuild.BuildOptions{
		AbsWorkingDir:     root,
		EntryPoints:       []string{entry},
		Bundle:            true,
		Format:            esbuild.FormatESModule,
		Platform:          esbuild.PlatformBrowser,
		Target:            esbuild.ES2022,
		Charset:           esbuild.CharsetUTF8,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		LegalComments:     esbuild.LegalCommentsNone,
		Define:            define,
		// The pages import the library as any page does: from the server.
		External: []string{"/livevalet.js"},
		Plugins:  []esbuild.Plugin{gluePlugin(glue, &used)},
	})
	if messages := slices.Concat(result.Errors, result.Warnings); len(messages) > 0 {
		text := esbuild.FormatMessages(messages, esbuild.FormatMessagesOptions{Kind: esbuild.ErrorMessage})
		return nil, errors.New(strings.Join(text, ""))
	}
	js := result.OutputFiles[0].Contents
	if used {
		js = slices.Concat([]byte(glueMark(glue)+"\n"), js)
	}
	return js, nil
}

// gluePlugin resolves the bare import "wasm_exec.js" to glue and sets used.
func gluePlugin(glue []byte, used *bool) esbuild.Plugin {
	const namespace = "toolchain"
	return esbuild.Plugin{Name: namespace, Setup: func(build esbuild.PluginBuild) {
		build.OnResolve(esbuild.OnResolveOptions{Filter: `^wasm_exec\.js$`},
			func(esbuild.OnResolveArgs) (esbuild.OnResolveResult, error) {
				return esbuild.OnResolveResult{Path: "wasm_exec.js", Namespace: namespace}, nil
			})
		build.OnLoad(esbuild.OnLoadOptions{Filter: `.*`, Namespace: namespace},
			func(esbuild.OnLoadArgs) (esbuild.OnLoadResult, error) {
				*used = true
				return esbuild.OnLoadResult{Contents: new(string(glue)), Loader: esbuild.LoaderJS}, nil
			})
	}}
}

// glueMark is the first line of a module that contains glue.
func glueMark(glue []byte) string { return "/* wasm_exec.js sha256 " + sum(glue) + " */" }
