// Package web holds the browser side: the public API (/livevalet.js), its
// Worker, the demo page and the doctor. The build writes what browsers load to dist.
package web

import "io/fs"

// Dist returns the built files, or false if this program was built without
// them: the build tag bundle embeds them.
func Dist() (fs.FS, bool) { return dist() }
