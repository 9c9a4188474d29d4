package main

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// pages are what people open. Each refers, literally in its HTML, to the script of
// that name and to what stands beside it; the build makes that the hashed names.
var pages = []struct {
	source, script string
	beside         []string
}{
	{"web/index.html", "demo", []string{"web/style.css", "web/icon.svg"}},
	{"web/doctor.html", "doctor", []string{"web/style.css", "web/doctor.css", "web/icon.svg"}},
}

// page publishes the pages and what stands beside them.
func (b *builder) page(scripts files) (files, error) {
	var names []string
	for _, p := range pages {
		names = append(append(names, p.source), p.beside...)
	}
	slices.Sort(names)
	inputs, err := b.sources(slices.Compact(names)...)
	if err != nil {
		return nil, err
	}
	for _, p := range pages {
		inputs = append(inputs, scripts[p.script].Path)
	}
	return b.step("page", inputs, func() (files, error) {
		made := files{}
		for _, p := range pages {
			hashed := map[string]string{`src="/` + p.script + `.js"`: `src="/` + path.Base(scripts[p.script].Path) + `"`}
			for _, source := range p.beside {
				content, err := os.ReadFile(b.path(source))
				if err != nil {
					return nil, err
				}
				name, ext := path.Base(source), path.Ext(source)
				if made[name], err = b.publish(strings.TrimSuffix(name, ext)+"-*"+ext, content); err != nil {
					return nil, err
				}
				hashed[`href="/`+name+`"`] = `href="/` + path.Base(made[name].Path) + `"`
			}
			html, err := os.ReadFile(b.path(p.source))
			if err != nil {
				return nil, err
			}
			text, err := refer(string(html), hashed)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.source, err)
			}
			if made[path.Base(p.source)], err = b.publish(path.Base(p.source), []byte(text)); err != nil {
				return nil, err
			}
		}
		return made, nil
	})
}

// refer replaces each plain reference by its hashed one. One that is missing
// would leave a page without style or life, so it is an error.
func refer(html string, hashed map[string]string) (string, error) {
	for plain, name := range hashed {
		if !strings.Contains(html, plain) {
			return "", fmt.Errorf("it does not contain %s: the build replaces exactly that by the hashed name", plain)
		}
		html = strings.ReplaceAll(html, plain, name)
	}
	return html, nil
}
