package dnsfront

// Bounds of streams.
const (
	MaxConnsPerClient = maxConnsPerClient
	IdleTimeout       = idleTimeout
)

// Bounds of crowds.
const (
	ShortTimeout = shortTimeout
	ManyStreams  = manyStreams
)

// MaxLonger is what long queries may take together.
const MaxLonger = maxLonger

// Longer is what they take.
func (s *Server) Longer() int64 { return s.longer.Load() }
