//go:build !js

// Command serve serves edgetest.Handler on a free loopback port, for the tests
// of the browser build. It prints its address as the servers of this project do.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/livevalet/livevalet/wasm/edge/edgetest"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("livevalet: ready http://%s\n", l.Addr())
	s := &http.Server{Handler: edgetest.Handler(), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(s.Serve(l))
}
