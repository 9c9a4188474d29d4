package upstream

import (
	"slices"
	"strconv"
	"strings"

	"github.com/livevalet/livevalet/issuer/schema"
)

// maxFields bounds what an error names.
const maxFields = 8

// fieldsOf names the fields that the service says are wrong, as setups are written.
// Its words may quote what was sent, so of a path only names that we know are passed
// on, and the numbers of list items.
func fieldsOf(details []map[string]any) []string {
	var paths []string
	for _, d := range details {
		violations, _ := d["fieldViolations"].([]any)
		for _, v := range violations {
			violation, _ := v.(map[string]any)
			said, _ := violation["field"].(string)
			if path := known(said); path != "" && !slices.Contains(paths, path) && len(paths) < maxFields {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// known is as much of a path as there is in the table.
func known(said string) string {
	var path []string
	at := schema.Messages["AuthToken"]
	for segment := range strings.SplitSeq(strings.TrimPrefix(said, "auth_token."), ".") {
		name, rest, _ := strings.Cut(segment, "[")
		if at == nil || at.Fields[name] == nil {
			break
		}
		f := at.Fields[name]
		path, at = append(path, f.Name), f.Of
		if n, err := strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 16); f.Repeated && err == nil {
			path = append(path, strconv.FormatUint(n, 10))
		} else if f.Repeated || f.Mapped {
			break
		}
	}
	if len(path) > 1 && path[0] == "bidiGenerateContentSetup" {
		path[0] = "setup"
	}
	return strings.Join(path, ".")
}
