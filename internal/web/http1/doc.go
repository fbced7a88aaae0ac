// Package http1 is Nearcast's HTTP/1 server: one strict parser of RFC 9112, and a loop
// over each connection that answers what is in memory by itself and hands the rest to an ordinary [http.Handler].
//
// It exists because a cache that guesses where a request ends can be made to guess
// differently from the server behind it. So nothing is guessed: whatever the
// RFC calls invalid or leaves open is refused with 400 and the end of the connection, even where it
// allows to be lenient (a bare LF, Transfer-Encoding beside Content-Length, equal
// Content-Lengths, folded lines). What reaches the handler has one reading.
//
// A request's way is conn.go, top to bottom. idle.go waits for it. The parser is head.go and what it calls, and
// touches nothing but octets. lane.go offers it to a [lane.Handler]; for a handler, message.go makes a request of it,
// bodies are body.go and chunked.go, answers are response.go, commit.go and finish.go. output.go sends, deadline.go says how long
// that and reading may take, and close.go is how a connection ends.
//
// It is not a client, not HTTP/2 or HTTP/3, and not a proxy: it knows nothing of caching, of
// hop-by-hop fields other than those that frame a message, of sites or of who may ask for
// what. It does not guess content types either.
package http1
