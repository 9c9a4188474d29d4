package main

import (
	"fmt"
	"os"
	"path"
	"strings"
)

// assets are what the HTML refers to beside the demo's script. The attribute is
// literally in web/index.html, and becomes one with the hashed name.
var assets = []struct{ role, source, name, attribute string }{
	{"style", "web/style.css", "style-*.css", `href="/style.css"`},
	{"icon", "web/icon.svg", "icon-*.svg", `href="/icon.svg"`},
}

// page publishes the demo's HTML and its assets.
func (b *builder) page(demo file) (files, error) {
	inputs, err := b.sources("web/index.html")
	if err != nil {
		return nil, err
	}
	for _, a := range assets {
		lines, err := b.sources(a.source)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, lines...)
	}
	return b.step("page", append(inputs, demo.Path), func() (files, error) {
		made := files{}
		hashed := map[string]string{`src="/demo.js"`: `src="/` + path.Base(demo.Path) + `"`}
		for _, a := range assets {
			content, err := os.ReadFile(b.path(a.source))
			if err != nil {
				return nil, err
			}
			if made[a.role], err = b.publish(a.name, content); err != nil {
				return nil, err
			}
			hashed[a.attribute] = `href="/` + path.Base(made[a.role].Path) + `"`
		}
		html, err := os.ReadFile(b.path("web/index.html"))
		if err != nil {
			return nil, err
		}
		text, err := refer(string(html), hashed)
		if err != nil {
			return nil, err
		}
		made["index"], err = b.publish("index.html", []byte(text))
		return made, err
	})
}

// refer replaces each plain reference by its hashed one. One that is missing
// would leave a page without style or life, so it is an error.
func refer(html string, hashed map[string]string) (string, error) {
	for plain, name := range hashed {
		if !strings.Contains(html, plain) {
			return "", fmt.Errorf("web/index.html does not contain %s: the build replaces exactly that by the hashed name", plain)
		}
		html = strings.ReplaceAll(html, plain, name)
	}
	return html, nil
}
