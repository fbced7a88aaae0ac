package dnsfront

// Bounds of streams.
const (
	MaxConnsPerSource = maxConnsPerSource
	IdleTimeout       = idleTimeout
)

// Bounds of crowds.
const (
	ShortTimeout = shortTimeout
	ManyStreams  = manyStreams
)
