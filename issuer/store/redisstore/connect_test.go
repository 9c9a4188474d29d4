package redisstore

import (
	"errors"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	tests := []struct {
		address            string
		network, addr      string
		username, password string
		db                 int
		tls                bool
	}{
		{address: "redis://localhost", network: "tcp", addr: "localhost:6379"},
		{address: "redis://voice:p%40ss@redis.example:6380/2", network: "tcp", addr: "redis.example:6380", username: "voice", password: "p@ss", db: 2},
		{address: "rediss://:pass@redis.example", network: "tcp", addr: "redis.example:6379", password: "pass", tls: true},
		{address: "unix:///run/redis/redis.sock", network: "unix", addr: "/run/redis/redis.sock"},
		{address: "unix://voice:pass@/run/redis/redis.sock?db=3", network: "unix", addr: "/run/redis/redis.sock", username: "voice", password: "pass", db: 3},
	}
	for _, tt := range tests {
		t.Run(tt.address, func(t *testing.T) {
			o, err := options(tt.address)
			if err != nil {
				t.Fatal(err)
			}
			if o.Network != tt.network || o.Addr != tt.addr || o.Username != tt.username || o.Password != tt.password || o.DB != tt.db {
				t.Errorf("it reads %s %s, user %q, password %q, database %d", o.Network, o.Addr, o.Username, o.Password, o.DB)
			}
			if secure := o.TLSConfig != nil; secure != tt.tls || secure && (o.TLSConfig.InsecureSkipVerify || o.TLSConfig.ServerName != "redis.example") {
				t.Errorf("TLS is %+v", o.TLSConfig)
			}
		})
	}
}

func TestABadURLIsNotRepeated(t *testing.T) {
	for name, address := range map[string]string{
		"an unknown scheme":                    "sqlite://CANARY",
		"a space":                              "redis://voice:CANARY @host",
		"a slash in the password":              "redis://voice:12/CANARY@host",
		"a number sign in the password":        "redis://voice:12#CANARY@host",
		"a question mark in the password":      "redis://voice:12?CANARY@host",
		"a percent sign in the password":       "redis://voice:%ZZCANARY@host",
		"a database that is none":              "redis://host/CANARY",
		"a setting that weakens TLS":           "rediss://host?skip_verify=true&CANARY=1",
		"a setting beside the socket's number": "unix:///run/redis.sock?db=1&max_retries=9&CANARY=1",
		"a socket without a path":              "unix://CANARY",
	} {
		t.Run(name, func(t *testing.T) {
			o, err := options(address)
			if !errors.Is(err, errURL) {
				t.Fatalf("it reads %+v, error %v", o, err)
			}
			if _, err = Open(t.Context(), address); err == nil || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("it says %v", err)
			}
		})
	}
}
