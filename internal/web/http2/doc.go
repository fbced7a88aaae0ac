// Package http2 is Nearcast's HTTP/2 server: a strict reader of RFC 9113, and a loop over each connection that
// answers what is in memory by itself and hands the rest to an ordinary [http.Handler].
//
// It exists because a hit costs less to find than a general server spends on a request. The loop reads all
// frames that have come, puts the answers of a [lane.Handler] behind each other into one buffer, and writes that once; no
// goroutine, no [http.Header] and no allocation goes into one of them. What cannot be sent at once, and what the
// handlers send, is a stream in a queue that knows windows and priorities (RFC 9218).
//
// A connection's way is conn.go, top to bottom. What comes in: input.go cuts octets into frames, receive.go hands
// each to its rule (data.go, window.go, priority.go; headers.go, block.go and request.go for a request's
// head); await.go waits for more, and ends what has taken too long. What goes out: lane.go for hits; handle.go calls a handler, and
// response.go, fields.go and control.go are what it writes to, body.go what it reads; queue.go says which stream is
// next and output.go writes. How it ends: drain.go and close.go; budget.go says what a client may cost.
//
// Frames are read and written here (frame.go) and not by x/net's Framer, which allocates for each and copies
// content once more; the words for types, flags and codes are x/net's, and so is HPACK.
//
// Locks: a connection has one lock, conn.mu, for all its streams and for what is to be sent, and
// conn.laneMu, which is taken first, while the lane is at work. Whoever finds nobody writing writes one buffer
// without the lock; what is left then gets a goroutine until it is gone.
//
// It is not a client, not HTTP/1 or HTTP/3, not a TLS server, and not a proxy: it knows nothing of caching, of sites or
// of who may ask for what. It pushes nothing, and tunnels nothing (CONNECT).
package http2
