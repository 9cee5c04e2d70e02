package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// announce prints what a newcomer needs, and last the line that scripts wait for.
func (s *stack) announce(d *demo) {
	a := s.addresses
	env := "" // what a command of relink needs to find this system
	if s.env.path != filepath.Join(s.conf.state, "env") {
		env = " --env " + s.relative(s.env.path)
	}
	p := func(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }
	p("")
	p("  MQTT        %s (TLS and WebSocket on the same port too)", a.bind(portMQTT))
	p("  MQTT/TLS    %s, authority %s", a.bind(portMQTTS), s.relative(s.certificates.ca))
	p("  WebSocket   ws://%s/mqtt, wss://%s/mqtt", a.bind(portWS), a.bind(portWSS))
	p("  HTTP        http://%s, https://%s (POST /auth, POST /topic/…)", a.bind(portHTTP), a.bind(portHTTPS))
	p("  CoAP        coap://%s (symmetric encryption), coaps://%s (DTLS)", a.bind(portCoAP), a.bind(portCoAPS))
	p("  OpenAPI     http://%s, access key %s", a.bind(portOpenAPI), s.keys.AccessKeyID)
	p("  Tablestore  http://%s   OSS http://%s", a.bind(portTablestore), a.bind(portOSS))
	p("  SLS         %s   FC  http://%s", a.bind(portSLS), a.bind(portFC))
	p("  all of it   %s (keys included)", s.relative(s.env.path))
	p("")
	p("  demo device")
	p("    product key    %s", d.ProductKey)
	p("    device name    %s", d.DeviceName)
	p("    device secret  %s", d.DeviceSecret)
	p("    client id      %s", d.ClientID)
	p("    user name      %s", d.Username)
	p("    password       %s", d.Password)
	p("")
	p("  post a temperature as the device:")
	p("    %s%s", d.RelinkCommand, env)
	p("    %s", d.MosquittoPub)
	p("  read it back:")
	p("    go run ./scripts/relink property get %s %s%s", d.ProductKey, d.DeviceName, env)
	p("")
	p("ready in %.1f s; Ctrl-C stops it", time.Since(s.begun).Seconds())
}

// relative shortens a path below the working directory.
func (s *stack) relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if r, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(r, "..") {
		return r
	}
	return path
}
