package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// What the documents tell people to write has no mistake.
func TestTheDocumentedFilesAreFine(t *testing.T) {
	dir := t.TempDir()
	issue(t, dir)
	keys, token := write(t, "shop:"+hashOf("sesame")), write(t, strings.Repeat("x", 64))
	for _, name := range []string{"issuer", "migrating"} {
		text, err := os.ReadFile("../../../docs/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		blocks := yamlBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, block := range blocks {
			config := strings.NewReplacer("/etc/livevalet/callers", keys, "/etc/livevalet/admin.token", token, "/etc/livevalet/audit.key", token,
				"server.crt", dir+"/tls.crt", "server.key", dir+"/tls.key", "/var/lib/livevalet", dir, "/var/log/livevalet", dir).Replace(block[1])
			if !strings.Contains(config, "hosts:") { // a part of a file
				config = "hosts: [voice.example]\n" + config
			}
			if !strings.Contains(config, "auth:") {
				config = "auth: {apiKeysFile: " + keys + "}\n" + config
			}
			if status, said := checks(t, nil, config); status != 0 {
				t.Errorf("%s\n%s", config, said)
			}
		}
	}
}

func TestTheDocumentedTableIsWhatCheckPrints(t *testing.T) {
	text, err := os.ReadFile("../../../docs/issuer.md")
	if err != nil {
		t.Fatal(err)
	}
	_, said := checks(t, nil, "hosts: [voice.example]", "--anonymous-anyone-can-spend-your-quota")
	if !strings.Contains(string(text), "```\n"+strings.TrimSuffix(said, "\n")+"```\n") {
		t.Errorf("docs/issuer.md does not have\n%s", said)
	}
}
