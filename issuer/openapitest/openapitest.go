// Package openapitest holds servers to the document that describes them: every
// exchange it shows can be had, and is as it says.
//
// It knows what the document uses of OpenAPI and JSON Schema, and fails on
// anything else, so that nothing stands there unchecked.
package openapitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// Document is an OpenAPI document.
type Document struct {
	t    testing.TB
	root object
}

type object = map[string]any

// Usual is the name of an exchange in which nothing goes wrong. Its request goes
// with every answer that has none of its own name.
const Usual = "usual"

// Exchange is a request that the document shows, and the answer to it.
type Exchange struct {
	Name   string // both have it
	Method string
	Path   string // with its parameters filled in, and a query
	Body   any    // nil: none
	Status int

	document *Document
	response object
}

// Read reads a document.
func Read(t testing.TB, file string) *Document {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = yaml.YAMLToJSON(text); err != nil { // so that types are those of answers
		t.Fatal(err)
	}
	d := &Document{t: t}
	if err := json.Unmarshal(text, &d.root); err != nil {
		t.Fatal(err)
	}
	return d
}

// Exchanges are those of the operations with that tag. They have an order.
func (d *Document) Exchanges(tag string) (all []Exchange) {
	d.t.Helper()
	paths := d.at("paths")
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for method, operation := range d.resolve(paths[path]) {
			operation := operation.(object)
			if slices.Contains(list(operation["tags"]), any(tag)) {
				all = append(all, d.of(strings.ToUpper(method), path, operation)...)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Exchange) int {
		return strings.Compare(a.String(), b.String())
	})
	if len(all) == 0 {
		d.t.Errorf("nothing is shown of %s", tag)
	}
	return all
}

func (e Exchange) String() string {
	return fmt.Sprint(e.Method, " ", e.Path, " ", e.Status, " ", e.Name)
}

// of are the exchanges of one operation.
func (d *Document) of(method, path string, operation object) (all []Exchange) {
	d.t.Helper()
	query := []string{}
	for _, p := range list(operation["parameters"]) {
		p := d.resolve(p)
		value := fmt.Sprint(p["example"])
		switch p["in"] {
		case "path":
			path = strings.ReplaceAll(path, "{"+p["name"].(string)+"}", value)
		case "query":
			query = append(query, p["name"].(string)+"="+value)
		default:
			d.t.Errorf("%s %s has a parameter in %v", method, path, p["in"])
		}
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	bodies := object{}
	if operation["requestBody"] != nil {
		content := d.resolve(operation["requestBody"])["content"].(object)["application/json"].(object)
		for name := range content["examples"].(object) {
			bodies[name] = d.shown(content, name)
			if problem := d.fits(content["schema"], bodies[name], "body"); problem != "" {
				d.t.Errorf("%s %s: the example %s is not as the schema says: %s", method, path, name, problem)
			}
		}
	}
	unanswered := maps.Clone(bodies)
	for status, response := range operation["responses"].(object) {
		response := d.resolve(response)
		code, err := strconv.Atoi(status)
		if err != nil {
			d.t.Fatalf("%s %s has a response %q", method, path, status)
		}
		names := []string{Usual}
		if response["content"] != nil {
			_, content := only(response["content"])
			names = slices.Sorted(maps.Keys(content["examples"].(object)))
			for _, name := range names {
				if problem := d.fits(content["schema"], d.shown(content, name), "answer"); problem != "" {
					d.t.Errorf("%s %s %s: the example %s is not as the schema says: %s", method, path, status, name, problem)
				}
			}
		}
		for _, name := range names {
			body, ok := bodies[name]
			if !ok {
				body = bodies[Usual]
			}
			delete(unanswered, name)
			all = append(all, Exchange{name, method, path, body, code, d, response})
		}
	}
	for name := range unanswered {
		d.t.Errorf("%s %s shows no answer to the request %s", method, path, name)
	}
	return all
}

// unsaid are header fields that go with any answer and need no word.
var unsaid = []string{"Content-Type", "Content-Length", "Date", "Vary", "X-Content-Type-Options"}

// Check compares an answer with the one that is shown: status, header fields,
// media type, and what fields the body has, of which types.
func (e Exchange) Check(t testing.TB, res *http.Response, body []byte) {
	t.Helper()
	if res.StatusCode != e.Status {
		t.Fatalf("status is %d: %s", res.StatusCode, body)
	}
	headers, _ := e.response["headers"].(object)
	said := slices.Clone(unsaid)
	for name, h := range headers {
		said = append(said, http.CanonicalHeaderKey(name))
		h := e.document.resolve(h)
		if value := res.Header.Get(name); value != "" {
			if problem := e.document.fits(h["schema"], parsed(e.document.resolve(h["schema"]), value), name); problem != "" {
				t.Error(problem)
			}
		} else if h["required"] == true {
			t.Errorf("there is no %s: %v", name, res.Header)
		}
	}
	for name := range res.Header {
		if !slices.Contains(said, name) {
			t.Errorf("nothing is said of %s: %v", name, res.Header[name])
		}
	}
	if e.response["content"] == nil {
		if len(body) > 0 {
			t.Errorf("there is a body: %s", body)
		}
		return
	}
	media, content := only(e.response["content"])
	if got, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); got != media {
		t.Errorf("Content-Type is %s, not %s, %v", got, media, err)
	}
	var got any = string(body)
	if strings.HasSuffix(media, "json") {
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	if problem := e.document.fits(content["schema"], got, "answer"); problem != "" {
		t.Errorf("%s: %s", problem, body)
	}
	// What is for machines and the same each time is compared.
	want, _ := e.document.shown(content, e.Name).(object)
	have, _ := got.(object)
	for _, name := range []string{"type", "title", "status", "code"} {
		if fmt.Sprint(have[name]) != fmt.Sprint(want[name]) {
			t.Errorf("%s is %v, not %v", name, have[name], want[name])
		}
	}
	if a, b := slices.Sorted(maps.Keys(have)), slices.Sorted(maps.Keys(want)); !slices.Equal(a, b) {
		t.Errorf("there are the fields %v, not %v", a, b)
	}
}

// Enum is the list of values of a schema, found by its path from the root.
func (d *Document) Enum(path ...string) (values []string) {
	d.t.Helper()
	for _, v := range list(d.at(path...)["enum"]) {
		values = append(values, fmt.Sprint(v))
	}
	return values
}

func (d *Document) at(path ...string) object {
	d.t.Helper()
	here := d.root
	for _, name := range path {
		next, ok := here[name].(object)
		if !ok {
			d.t.Fatalf("there is no %s", strings.Join(path, "/"))
		}
		here = next
	}
	return here
}

// resolve follows a reference, if it is one.
func (d *Document) resolve(node any) object {
	d.t.Helper()
	o, ok := node.(object)
	if !ok {
		d.t.Fatalf("%v is no mapping", node)
	}
	if ref, ok := o["$ref"].(string); ok {
		path := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
		for i := range path {
			path[i] = strings.ReplaceAll(path[i], "~1", "/")
		}
		return d.at(path...)
	}
	return o
}

func list(node any) []any {
	l, _ := node.([]any)
	return l
}

// only is the one entry of a mapping that has one.
func only(node any) (string, object) {
	for name, value := range node.(object) {
		return name, value.(object)
	}
	return "", nil
}

func (d *Document) shown(content object, name string) any {
	d.t.Helper()
	return d.resolve(content["examples"].(object)[name])["value"]
}

// parsed is a header field as its schema wants it.
func parsed(schema object, value string) any {
	if n, err := strconv.ParseFloat(value, 64); err == nil && schema["type"] == "integer" {
		return n
	}
	return value
}
