//go:build !race

package emulator

const idleSockets = 5000
