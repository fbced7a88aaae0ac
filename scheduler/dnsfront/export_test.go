package dnsfront

// Bounds of streams.
const (
	MaxConnsPerSource = maxConnsPerSource
	IdleTimeout       = idleTimeout
)
