package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/scripts/child"
)

func TestEventsOfNode(t *testing.T) {
	reporter, err := filepath.Abs("reporter.mjs")
	if err != nil {
		t.Fatal(err)
	}
	const begin = `import { describe, test } from "node:test";
import assert from "node:assert";
`
	for _, tt := range []struct {
		name, suite string
		want        tally
		says        []string
	}{
		{"leaves count, their parents do not", `console.log("quiet words");
describe("parent", { concurrency: true }, () => { test("first", async () => {}); test("second", () => {}); });
test("alone", () => {});`, tally{passed: 3}, nil},
		{"a failure is counted once and told with its words; a skip and a plan are failures", `
describe("parent", () => { test("good", () => {}); test("bad/with a slash", () => assert.equal(1, 2)); });
test("skipped", { skip: "not today" }, () => {});
test("planned", { todo: true }, () => {});`, tally{1, 3},
			[]string{"parent/bad/with a slash", "1 == 2", "skipped, so it has not passed", "not today", "a.test.mjs planned"}},
		{"a test that takes too long is one failure", `
test("hangs", { timeout: 10 }, () => new Promise((resolve) => setTimeout(resolve, 200)));`, tally{0, 1}, []string{"hangs", "timed out"}},
		{"a file that does not run is one failure", `import "./nowhere.mjs";`, tally{0, 1}, []string{"a.test.mjs", "nowhere.mjs"}},
		{"a file that throws after its tests", `test("good", () => {}); throw new Error("loose words");`, tally{0, 1}, []string{"loose words"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.test.mjs"), []byte(begin+tt.suite), 0o666); err != nil {
				t.Fatal(err)
			}
			node := child.Command(t.Context(), "node", "--test", "--test-reporter="+reporter)
			node.Dir = dir
			got, why := events(node)
			if got != tt.want {
				t.Errorf("got %v, want %v\n%s", got, tt.want, why)
			}
			for _, s := range tt.says {
				if !strings.Contains(string(why), s) {
					t.Errorf("report lacks %q:\n%s", s, why)
				}
			}
			if strings.Contains(string(why), "quiet words") || got.failed == 0 && why != "" {
				t.Errorf("report tells of what passed:\n%s", why)
			}
		})
	}
}
