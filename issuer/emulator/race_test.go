//go:build race

package emulator

// idleSockets is less with the race detector, which bears 8,128 goroutines.
const idleSockets = 3000
