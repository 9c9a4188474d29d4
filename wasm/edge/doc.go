// Package edge is where the session engine meets the world: the Live socket and
// the issuer's token endpoint. It has one API and two builds: in the browser
// the page's own WebSocket, JSON and fetch (through syscall/js), elsewhere
// coder/websocket, encoding/json and net/http.
//
// What both builds make of the bytes is written once, over the type node: a JSON
// value in the form native to the build.
package edge
