//go:build !bundle

package web

import "io/fs"

func dist() (fs.FS, bool) { return nil, false }
