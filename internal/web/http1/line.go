package http1

import "bytes"

// trimLineEnd takes the CR off a line whose LF is cut off already. A line ends with CR LF
// and has no other CR; RFC 9112 section 2.2 lets a recipient be lenient with either, and that is how
// two recipients come to disagree.
func trimLineEnd(line []byte) ([]byte, *refusal) {
	last := len(line) - 1
	if last < 0 || line[last] != '\r' {
		return nil, malformed("bare-lf", "a line ends with LF alone; it must end with CR LF")
	}
	if bytes.IndexByte(line[:last], '\r') >= 0 {
		return nil, malformed("bare-cr", "a line has a CR that no LF follows")
	}
	return line[:last], nil
}
