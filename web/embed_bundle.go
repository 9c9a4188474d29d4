//go:build bundle

package web

import (
	"embed"
	"io/fs"
)

//go:embed dist
var built embed.FS

func dist() (fs.FS, bool) {
	files, err := fs.Sub(built, "dist")
	return files, err == nil
}
