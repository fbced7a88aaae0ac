package main

// tool is what makes the load.
type tool int

const (
	wrk tool = iota
	h2load
	handshakes // new connections, by this program
)

// against is what a limit compares with.
type against string

const (
	bestPeer against = "best peer"
	theNginx against = "nginx"
)

// limit is what a figure of the edge may be at most. The zero value is none.
type limit struct {
	// Ratio is a multiple of Of's figure.
	Ratio float64 `json:"ratio,omitempty"`
	Of    against `json:"of,omitempty"`
	// Max is a figure.
	Max float64 `json:"max,omitempty"`
}

// scenario is one kind of load.
type scenario struct {
	id, title string
	tool      tool
	tls       bool
	resume    bool
	path      string
	limit     limit
	// p99 asks for a row of the 99th percentiles of the same measurements, too.
	p99 limit
	// perSecond is how many requests make about a second, for a tool that counts them.
	perSecond int
}

// scenarios are measured in this order. No limit means that the row is only shown.
func scenarios() []scenario {
	times := func(ratio float64) limit { return limit{Ratio: ratio, Of: theNginx} }
	return []scenario{
		{id: "h1-1k", title: "hit, 1 KiB, HTTP/1.1", path: "/1k.bin", limit: times(0.80), p99: times(1)},
		{id: "h1-16k", title: "hit, 16 KiB, HTTP/1.1", path: "/16k.bin", limit: times(0.95)},
		{id: "h1-128k", title: "hit, 128 KiB, HTTP/1.1", path: "/128k.bin"},
		{id: "h1-1m", title: "hit, 1 MiB, HTTP/1.1, from the disk tier", path: "/1m.bin", limit: times(1.05)},
		{id: "tls-1k", title: "hit, 1 KiB, HTTP/1.1 over TLS", tls: true, path: "/1k.bin", limit: times(0.60)},
		{id: "tls-128k", title: "hit, 128 KiB, HTTP/1.1 over TLS", tls: true, path: "/128k.bin", limit: times(0.95)},
		{id: "h2-1k", title: "hit, 1 KiB, HTTP/2 over TLS", tool: h2load, tls: true, path: "/1k.bin", limit: times(0.35), perSecond: 50_000},
		{id: "h2-128k", title: "hit, 128 KiB, HTTP/2 over TLS", tool: h2load, tls: true, path: "/128k.bin", limit: times(0.85), perSecond: 2500},
		{id: "conn-full", title: "new connection, TLS 1.3, full handshake, one request", tool: handshakes, tls: true, path: "/1k.bin", limit: times(0.85)},
		{id: "conn-resumed", title: "new connection, TLS 1.3, resumed, one request", tool: handshakes, tls: true, resume: true, path: "/1k.bin", limit: times(0.85)},
	}
}

// idleScenario is a number of connections that nothing happens on.
type idleScenario struct {
	id, title string
	tls       bool
	limit     limit
}

func idleScenarios() []idleScenario {
	return []idleScenario{
		{"idle-tls", "idle connection over TLS", true, limit{Max: 20}},
		{"idle-plain", "idle connection", false, limit{}},
	}
}
