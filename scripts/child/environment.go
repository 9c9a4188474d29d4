package child

import (
	"os"
	"slices"
	"strings"
)

// withheld begin the names of settings that no program gets: they would change
// what is tested, or lend it a real key.
var withheld = []string{"GEMINI_", "GOOGLE_", "LIVEVALET_"}

func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(setting string) bool {
		return slices.ContainsFunc(withheld, func(prefix string) bool { return strings.HasPrefix(setting, prefix) })
	})
}
